"""Feedback: a page made of hostile input runs nothing, loads nothing, tells nothing hidden, and still helps."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from dlcourse.course import Course
from dlcourse.feedback import FeedbackExporter, cells
from dlcourse.grading.grade import grade

ATTACK = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
BREAK = "\"'><script>document.title='pwned'</script><svg onload=\"document.title='pwned'\">"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
LINKS = {"http", "https", "mailto", "attachment"}
ELEMENTS = {"script", "iframe", "object", "embed", "base", "form", "svg", "link", "video", "audio", "input", "button"}


class Page(HTMLParser):
    """What a page consists of: its elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.text += " "

    def handle_data(self, data: str) -> None:
        if self.elements[-1:] != [("style", {})]:
            self.text += data

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def hold(html: str) -> Page:
    """Hold that a page has nothing that runs or loads: no script, handler, frame, style or foreign address."""
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in ELEMENTS
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("style", "srcset", "action", "formaction", "background"), (tag, name)
            if name == "src":
                assert str(value).startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
            if name == "href":
                assert tag == "a"
                assert str(value).partition(":")[0].lower() in LINKS or str(value).startswith("#")
    policies = [a for a in page.having("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert str(policies[0]["content"]).startswith("default-src 'none';")
    assert "script-src" not in str(policies[0]["content"])
    return page


def code(source: str = "x = 1", *outputs: NotebookNode, **metadata: Any) -> NotebookNode:
    """An executed code cell."""
    cell = new_code_cell(source, outputs=list(outputs))
    cell.metadata = nbformat.from_dict(metadata)
    return cell


def test_cell(verdict: dict[str, Any], *outputs: NotebookNode) -> NotebookNode:
    """A judged test cell of two points, as it stands in an autograded notebook with scores."""
    named = {"grade_id": "q1_test", "grade": True, "solution": False, "locked": True, "points": 2, "score": 1.0}
    source = "check.close('seen', f(1), 2)\n### BEGIN HIDDEN TESTS\nsecret_case = 31337\n### END HIDDEN TESTS"
    return code(source, *outputs, nbgrader=named, dlcourse=verdict)


test_cell.__test__ = False  # type: ignore[attr-defined]


def checked(label: str = "seen", **parts: Any) -> dict[str, Any]:
    """One check's verdict."""
    return {
        "label": label,
        "passed": False,
        "weight": 1.0,
        "message": "",
        "hint": "",
        "hidden": True,
        "cause": "wrong",
        **parts,
    }


def page_of(*content: NotebookNode, about: dict[str, Any] | None = None, **named: Any) -> str:
    """The feedback page of a notebook."""
    notebook = new_notebook(cells=list(content), metadata={"dlcourse": about or {}})
    graded = {"notebook": "sums", "student": "ada", "assignment": "tiny", "score": 1.0, "max_score": 2.0, **named}
    html, _ = FeedbackExporter().from_notebook_node(notebook, resources={"nbgrader": graded})
    return html


MARKDOWN = [
    ATTACK,
    f"# {ATTACK}",
    "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html;base64,xx) [d](vbscript:x) [e](file:///etc)",
    "[f](//evil.example) [g]( java\tscript:alert(1)) <javascript:alert(1)> [h](&#106;avascript:alert(1))",
    '[i](http://a.example "x\\" onclick=alert(1) y")',
    "![a](http://evil.example/a.png) ![b](//evil.example/b.png) ![c](data:image/svg+xml;base64,xx)",
    f"![{BREAK}](attachment:{BREAK})",
    "<iframe src=//evil.example></iframe>\n\n<base href=//evil.example>",
    "<style>body{background:url(//evil.example)}</style>",
    r"$\text{<script>document.title='pwned'</script>}$ and $$\mbox{<img src=x onerror=alert(1)>}$$",
    r"$\href{javascript:alert(1)}{x}$ $\style{background:url(http://evil.example)}{x}$ $\class{a\" onclick=\"x}{y}$",
    r"\begin{align}a &= \text{<svg onload=alert(1)>}\end{align} $\unknown{<script>}$ $&lt;script&gt;$",
    "```html\n<script>document.title='pwned'</script>\n```",
    "| a |\n|---|\n| <script>x</script> |",
]


def hostile() -> str:
    """A page with an attack in every place that a submission can write to."""
    rich = {"text/html": ATTACK, "application/javascript": "document.title='pwned'", "text/plain": ATTACK}
    drawn = {"image/svg+xml": f"<svg>{ATTACK}</svg>", "text/plain": BREAK}
    bundle = {"image/png": '"><script>document.title=1</script>', "image/jpeg": PNG}
    attached = new_markdown_cell("![x](attachment:a.png) ![y](attachment:b.png)")
    attached.attachments = nbformat.from_dict(
        {"a.png": bundle, "b.png": {"text/html": ATTACK, "image/svg+xml": ATTACK}}
    )
    commented = code(
        ATTACK, nbgrader={"grade_id": "q", "grade": False, "solution": True, "comment": f"{ATTACK}\n\n{BREAK}"}
    )
    verdict = {"cause": BREAK, "checks": [checked(ATTACK, message=BREAK, hint=ATTACK), checked(BREAK, cause="error")]}
    return page_of(
        *map(new_markdown_cell, MARKDOWN),
        attached,
        code(
            BREAK,
            new_output("display_data", data=rich),
            new_output("execute_result", data=drawn),
            new_output("display_data", data={"image/png": PNG + '"><script>x</script>'}),
            new_output("display_data", data={"image/png": [PNG], "text/plain": [BREAK]}),
            new_output("stream", name="stdout", text=f"\x1b]8;;javascript:alert(1)\x07{ATTACK}\x1b[31m{BREAK}"),
            new_output("error", ename=ATTACK, evalue=BREAK, traceback=[ATTACK, BREAK]),
        ),
        new_markdown_cell(f"## {BREAK} [2 points]"),
        test_cell(verdict),
        commented,
        about={"cause": BREAK, "message": ATTACK, "repairs": [ATTACK, BREAK]},
        student=BREAK,
        assignment=ATTACK,
        notebook=BREAK,
    )


def test_nothing_hostile_survives_as_markup() -> None:
    """Attacks in markdown, formulas, outputs, attachments, labels, comments, names and repairs come out as text."""
    page = hold(hostile())
    assert page.text.count("document.title='pwned'") > 20
    assert len(page.having("img")) == 1  # the one true picture, an attached JPEG
    assert len(page.having("math")) >= 4


def test_a_browser_shows_a_hostile_page_and_runs_nothing(tmp_path: Path) -> None:
    """Chromium shows the attacks as text; no script has changed the title."""
    browser = shutil.which("chromium")
    assert browser, "chromium is needed: apt-get install chromium"
    (tmp_path / "page.html").write_text(hostile(), "utf-8")
    (tmp_path / "open.html").write_text(f"<title>before</title>{ATTACK}", "utf-8")
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}/profile",
        "--dump-dom",
    ]
    seen = {
        name: subprocess.run(
            [*command, f"file://{tmp_path}/{name}.html"], capture_output=True, text=True, timeout=120, check=True
        ).stdout
        for name in ("open", "page")
    }
    assert "<title>pwned</title>" in seen["open"]  # the attack works where it is let through
    assert "<title>pwned</title>" not in seen["page"]
    hold(seen["page"])


def test_hidden_tests_are_not_told() -> None:
    """Neither the hidden source, nor what a learner's function prints or raises about its hidden inputs."""
    numbers = "ValueError: got [ 31337. -2.5e-07 .25] for shape of x1"
    verdict = {
        "cause": "error",
        "checks": [checked("other input", message=numbers, cause="error"), checked(message="off by 0.5")],
    }
    html = page_of(
        test_cell(verdict, new_output("stream", name="stdout", text="called with 424242")),
        code("### BEGIN HIDDEN TESTS\nsecret_case = 31337"),
    )
    text = hold(html).text
    assert "31337" not in text
    assert "secret_case" not in text
    assert "424242" not in text
    assert "2.5e" not in text
    assert "ValueError: got [ … … …] for shape of x1" in text
    assert "off by 0.5" in text


def test_the_checks_of_a_question_are_listed_with_their_points() -> None:
    """Each check: passed or not, its share of the points, what was found, and a hint only where it failed."""
    verdict = {
        "cause": "wrong",
        "checks": [
            checked("first", passed=True, weight=3, hint="needless"),
            checked("second", weight=1, message="worst at [2]", hint="divide by N"),
            checked("shown only", passed=True, weight=0, hidden=False),
        ],
    }
    page = hold(page_of(new_markdown_cell("## Question 1: Mean [2 points]"), test_cell(verdict)))
    text = " ".join(page.text.split())
    assert "✓ first 1.5 " in text
    assert "✗ second 0.5 worst at [2] Hint: divide by N" in text
    assert "needless" not in text
    assert "3 checks, 1 not passed" in text
    assert "Question 1: Mean q1_test 1 2 a wrong value" in text
    assert page.having("details") == [{"open": None}]


def test_long_output_is_capped_and_counted() -> None:
    """Lines, columns, outputs and source have a limit, and the page says how much is left out."""
    long = new_output("stream", name="stdout", text="\n".join(f"line {n}" for n in range(1000)) + "\n" + "x" * 100_000)
    many = [new_output("display_data", data={"text/plain": f"output {n}"}) for n in range(100)]
    html = page_of(code("pass", long, *many), new_markdown_cell("y" * 200_000), code("z" * 200_000))
    text = hold(html).text
    assert len(html) < 100_000
    wrapped = 1000 + 100_000 // cells.MAX_COLUMNS  # the one long line is wrapped
    assert f"… {wrapped - cells.MAX_LINES} lines not shown …" in text
    assert "line 0\n" in text
    assert "line 500\n" not in text
    assert f"… {101 - cells.MAX_OUTPUTS} more outputs are not shown …" in text
    assert text.count(f"… {200_000 - cells.MAX_SOURCE} characters are not shown …") == 2


def test_a_progress_bar_is_shown_in_its_last_state() -> None:
    """Carriage returns and colours are what they are on a screen; control characters do not reach the page."""
    bar = new_output("stream", name="stderr", text="\r 10%\r 50%\r\x1b[32m100%\x1b[0m done\x00\n")
    text = hold(page_of(code("pass", bar))).text
    assert "100% done" in text
    assert "50%" not in text
    assert "\x00" not in text


@pytest.mark.timeout(60)
def test_a_formula_cannot_stop_the_page() -> None:
    """Macros that expand without end, and nesting without end, are shown as they were written."""
    doubling = r"\newcommand{\a}[1]{#1#1}" + r"\a{" * 60 + "x" + "}" * 60
    html = page_of(new_markdown_cell(f"${doubling}$"), new_markdown_cell("$" + "{" * 2000 + "}" * 2000 + "$"))
    assert "newcommand" in hold(html).text


def test_formulas_become_mathml() -> None:
    """Mathematics is shown without a script: fractions, sums, aligned equations."""
    page = hold(
        page_of(new_markdown_cell("$\\bar{x} = \\frac{1}{N}$\n\n\\begin{align}a &\\le b\\\\ c &= d\\end{align}"))
    )
    assert len(page.having("math")) == 2
    assert page.having("mfrac")
    assert page.having("mtable")
    assert "≤" in page.text


def test_the_page_of_a_graded_submission(course: Course, hand_in: Callable[..., Path]) -> None:
    """The whole way: what was lost and why, what waits for manual grading, and nothing of the hidden part."""
    printing = "def mean(x):\n    print('given', list(x))\n    raise ValueError(f'given {list(x)}')"
    hand_in("ada", q1_mean=printing)
    grade(course, "tiny", sandboxed="none")
    page = hold((course.path("feedback", "tiny", "ada") / "sums.html").read_text("utf-8"))
    text = " ".join(page.text.split())
    assert "2 of 6 points" in text
    assert "1 points are still to be graded by hand" in text
    assert "Question 3: In words q3_words by hand 1" in text
    assert "Question 1: The mean q1_mean_test 0 3 an error was raised" in text
    assert "given [" in text  # the learner's own call, on the visible input
    for hidden in ("linspace", "_y", "81.0", "10.02", "HIDDEN"):  # of the hidden tests: source and inputs
        assert hidden not in page.text
