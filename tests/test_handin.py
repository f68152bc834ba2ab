"""The hand-in rules: each is broken once, says where and how to mend it, and can be switched off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from traitlets.config import Config

from dlcourse.build import build
from dlcourse.cli import main
from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.grading.intake import take_in
from dlcourse.handin import writing
from dlcourse.handin.rules import check_rules
from dlcourse.handin.settings import RULES, HandIn
from dlcourse.handin.sheet import FIRST_CELL, sheet_of

HandInFixture = Callable[..., Path]
Edit = Callable[[NotebookNode], None]


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == name)


def source(name: str, text: str) -> Edit:
    return lambda notebook: cell_of(notebook, name).update(source=text)


def drop(name: str) -> Edit:
    return lambda notebook: notebook.cells.remove(cell_of(notebook, name))


def update(name: str, **values: Any) -> Edit:
    return lambda notebook: cell_of(notebook, name).update(values)


def insert(at: int, cell: NotebookNode) -> Edit:
    return lambda notebook: notebook.cells.insert(at, cell)


def code(text: str) -> NotebookNode:
    return nbformat.v4.new_code_cell(text, execution_count=99)


def reversed_counts(notebook: NotebookNode) -> None:
    ran = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(reversed(ran), 1):
        cell.execution_count = count


def recount(notebook: NotebookNode) -> None:
    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count]
    for count, cell in enumerate(ran, 1):
        cell.execution_count = count


def moved(notebook: NotebookNode) -> None:
    notebook.cells.append(notebook.cells.pop(notebook.cells.index(cell_of(notebook, "q1-text"))))


def copied(notebook: NotebookNode) -> None:
    again = cell_of(notebook, "q1_mean").copy()
    again["id"] = "another"
    notebook.cells.append(again)


def renamed(notebook: NotebookNode) -> None:
    heading = cell_of(notebook, "q1_mean_solution")
    heading.source = heading.source.replace("Problem 1", "Problem 2")


LONG = "def mean(x):\n" + "".join(f"    a{n} = x[{n}]\n" for n in range(15)) + "    return x.mean()"
ERROR = nbformat.v4.new_output("error", ename="NameError", evalue="x", traceback=["…"])

# What is done to a notebook that is ready, the rule that it breaks, where, and words of the message.
BROKEN: dict[str, tuple[Edit, str, int | None, str]] = {
    "not run": (update("q1-run", execution_count=None), "executed", 7, "1 cells were not run: cells 7"),
    "another order": (reversed_counts, "executed", 3, "not run in order from a fresh kernel: this one as number 6"),
    "not fresh": (update("setup", execution_count=12), "executed", 3, "this one as number 12"),
    "an error": (update("q1-run", outputs=[ERROR]), "executed", 7, "ended with NameError"),
    "no output": (update("q1_mean_test", outputs=[]), "outputs", 8, "its output is not stored"),
    "locked cell changed": (source("setup", "import numpy"), "given", 3, "setup: this locked cell was changed"),
    "question changed": (
        source("q1-text", "## Question 1: Easier"),
        "given",
        4,
        "q1-text: this given text was changed",
    ),
    "test deleted": (drop("q2_centre_test"), "given", None, "q2_centre_test: this cell was deleted"),
    "answer deleted": (drop("q2_centre"), "given", None, "q2_centre: this cell was deleted"),
    "question moved": (moved, "given", 15, "q1-text: this cell was moved"),
    "answer copied": (copied, "given", 16, "q1_mean: a copy of this cell"),
    "empty cell": (insert(4, nbformat.v4.new_markdown_cell("  ")), "scratch", 5, "an empty cell"),
    "scratch": (insert(4, code("print(1)")), "scratch", 5, "a code cell that the assignment does not have"),
    "untouched": (source("q3_words", "YOUR ANSWER HERE"), "placeholders", 15, "no answer yet"),
    "emptied": (source("q3_words", " "), "placeholders", 15, "no answer yet"),
    "a to-do": (source("q1_mean", "def mean(x):  # TODO sum\n    return 3"), "placeholders", 6, "'TODO' is left over"),
    "half done": (source("q3_words", "Squares. YOUR ANSWER HERE"), "placeholders", 15, "'YOUR ANSWER HERE' is left"),
    "no heading": (drop("q1_mean_solution"), "headings", 5, "'Solution to Problem 1' is missing above the answer"),
    "wrong number": (renamed, "headings", 6, "found: '**Solution to Problem 2**'"),
    "not red": (source("q1_mean_solution", "**Solution to Problem 1**"), "headings", 6, "is not red"),
    "not bold": (
        source("q1_mean_solution", '<font color="red">Solution to Problem 1</font>'),
        "headings",
        6,
        "not bold",
    ),
    "no comment": (source("q1_mean", LONG), "comments", 6, "16 lines of code without a comment"),
    "nobody named": (source("collaborators", "**Collaborators** (who):"), "collaborators", 2, "not filled in"),
    "cell gone": (drop("collaborators"), "collaborators", None, "is gone"),
}


@pytest.fixture
def ready(hand_in: HandInFixture, finish: Callable[[Path], Path]) -> Path:
    """A notebook that breaks no rule."""
    return finish(hand_in("ada"))


def check(path: Path, *options: str) -> Result:
    ended = CliRunner().invoke(main, ["check", "--no-run", str(path), *options])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def test_the_cell_that_installs_the_course_is_no_scratch_cell(ready: Path) -> None:
    """What a download starts with may stay; the same code in another cell may not."""
    notebook = nbformat.read(ready, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("import dlcourse", id=FIRST_CELL, execution_count=1))
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = count
    nbformat.write(notebook, ready)
    assert check(ready).exit_code == 0
    notebook.cells[0].id = "another"
    nbformat.write(notebook, ready)
    assert "does not have" in check(ready).output


@pytest.mark.parametrize("name", BROKEN)
def test_rule(ready: Path, name: str) -> None:
    """A broken rule is found where it is broken, alone, with a way to mend it; a notebook that breaks none has none."""
    change, rule, number, words = BROKEN[name]
    notebook = nbformat.read(ready, as_version=4)
    sheet = sheet_of(notebook)
    assert sheet is not None
    assert check_rules(ready, notebook, sheet) == []
    change(notebook)
    if rule != "executed":  # run again, as a person would
        recount(notebook)
    found = check_rules(ready, notebook, sheet)
    assert [finding.rule for finding in found] == [rule], found
    assert (found[0].cell, words in found[0].message) == (number, True), found
    assert found[0].mend
    assert found[0].penalty == (20 if rule == "headings" else None)


def test_own_cells_that_stay(ready: Path) -> None:
    """A text of one's own, a cell marked `# keep`, another way to bold red, TODO in a string: none breaks a rule."""
    notebook = nbformat.read(ready, as_version=4)
    insert(4, nbformat.v4.new_markdown_cell("My remarks."))(notebook)
    insert(4, nbformat.v4.new_code_cell("# keep: used below\nhelper = 'TODO'", execution_count=2))(notebook)
    recount(notebook)
    cell_of(notebook, "q1_mean_solution").source = '**<font color="red">Solution to Problem 1: the mean</font>**'
    drop("q3_words_solution")(notebook)
    source("q3_words", '<b style="color: red">Solution to Problem 3</b>\n\nSquares.')(notebook)
    sheet = sheet_of(notebook)
    assert sheet is not None
    assert check_rules(ready, notebook, sheet) == []


def test_names_and_pages(ready: Path, tmp_path: Path) -> None:
    """A file name that is none of the course's, a PDF or a ZIP that cannot be opened: said, with the cure."""
    notebook = nbformat.read(ready, as_version=4)
    sheet = sheet_of(notebook)
    assert sheet is not None
    stem = "Lovelace_Ada_dlcourse_assignment_tiny"
    cases = {"homework.ipynb": "is called homework.ipynb, not sums.ipynb", f"{stem}.ipynb": f"{stem}.zip is missing"}
    (tmp_path / f"{stem}.pdf").write_bytes(b"%PDF-1.4 but no more")
    for name, words in cases.items():
        found = check_rules(tmp_path / name, notebook, sheet)
        assert words in found[0].message
    assert "cannot be opened as a PDF" in found[1].message
    (tmp_path / f"{stem}.zip").write_bytes(b"PK")
    assert "cannot be opened" in check_rules(tmp_path / f"{stem}.ipynb", notebook, sheet)[0].message


def test_report(ready: Path) -> None:
    """The table and --json name the rule, the question, the cell, the cure and the penalty; the exit code is 1."""
    assert check(ready).exit_code == 0
    notebook = nbformat.read(ready, as_version=4)
    renamed(notebook)
    nbformat.write(notebook, ready)
    ended = check(ready)
    assert ended.exit_code == 1
    text = " ".join(ended.stdout.replace("│", " ").split())
    assert "│ headings │ Question 1, cell 6 │" in ended.stdout
    assert "20 %" in text
    assert "Nothing is deducted by itself" in text
    report = json.loads(check(ready, "--json", "-").stdout)
    assert report["in_order"] is False
    assert report["findings"][0]["mend"].endswith('<span style="color:red">**Solution to Problem 1**</span>')
    assert (report["findings"][0]["grade_id"], report["findings"][0]["penalty"]) == ("q1_mean", 20)


def test_metadata_lost(ready: Path, course: Course) -> None:
    """After an editor that drops metadata the rules come from the notebook as handed out; spoiled ones are refused."""
    notebook = nbformat.read(ready, as_version=4)
    stored = notebook.metadata.pop("dlcourse")
    nbformat.write(notebook, ready)
    assert "carries no hand-in rules" in check(ready).stdout
    release = course.path("release", "tiny") / "sums.ipynb"
    assert "no rule is broken" in check(ready, "--release", str(release)).stdout
    for key, value in (
        ("format", 2),
        ("cells", ["one"]),
        ("team", "many"),
        ("stem", "{last:9999999999}"),
        ("due", "soon"),
    ):
        notebook.metadata["dlcourse"] = {"handin": {**stored["handin"], key: value}}
        nbformat.write(notebook, ready)
        ended = check(ready)
        assert (ended.exit_code, "cannot be read" in ended.stderr) == (1, True), (key, ended.output)


def configured(course: Course, options: dict[str, Any]) -> Course:
    course.config.HandIn = Config(options)
    return course


def test_one_place_of_configuration(course: Course) -> None:
    """What c.HandIn says reaches the release: rules off, headings, teams, names, deadline with its zone."""
    options = {
        "course": "ECE 4252",
        "term": "S25",
        "numbers": {"tiny": 7},
        "team": 2,
        "rules": {"headings": False, "pages": False},
        "penalties": {"executed": 10.0, "headings": 20.0},
        "timezone": "America/New_York",
        "deadlines": {"tiny": "2025-04-18 20:00"},
    }
    build(configured(course, options), "tiny")
    release = nbformat.read(course.path("release", "tiny") / "sums.ipynb", as_version=4)
    sheet = sheet_of(release)
    assert sheet is not None
    assert sheet.stem == "{last}_{first}_ECE-4252_S25_assignment_7"
    assert sheet.rules == [rule for rule in RULES if rule not in ("headings", "pages")]
    assert (sheet.penalties, sheet.due) == ({"executed": 10.0}, "2025-04-18T20:00:00-04:00")
    assert "YOUR TEAM HERE" in cell_of(release, "collaborators").source
    assert not any("Solution to Problem" in cell.source for cell in release.cells)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rules": {"heading": False}}, "no rule is called heading"),
        ({"penalties": {"headings": 200.0}}, "penalties"),
        ({"pattern": "{course}_{number}"}, "needs {last} and {first}"),
        ({"pattern": "{last}_{first}_{grade}"}, "may name"),
        ({"pattern": "hw/{last}_{first}"}, "between letters"),
        ({"heading": "Answer {n}"}, "{question} and {part} alone"),
        ({"timezone": "Mars/Olympus"}, "no time zone is called 'Mars/Olympus'"),
        ({"deadlines": {"tiny": "tomorrow"}}, "'tomorrow' is no date and time"),
    ],
)
def test_wrong_configuration(course: Course, options: dict[str, Any], words: str) -> None:
    """A value that no rule has stops the build with its name, before anything is written."""
    with pytest.raises(CourseError) as refused:
        build(configured(course, options), "tiny")
    assert words in str(refused.value)


def test_findings_cannot_steer_a_terminal(ready: Path) -> None:
    """Escape codes in headings, names and errors of a notebook do not reach the screen of who checks it."""
    notebook = nbformat.read(ready, as_version=4)
    source("q1-text", "## Question \x1b]0;owned\x07 1: \x1b[2Jx")(notebook)
    update("q1-run", outputs=[nbformat.from_dict({**ERROR, "ename": "\x1b[31mBad"})])(notebook)
    nbformat.write(notebook, ready)
    ended = check(ready)
    assert "ended with" in " ".join(ended.stdout.split())
    assert not {"\x1b", "\x07"} & set(ended.output)


def test_team(ready: Path) -> None:
    """With teams, the members are counted; without, any number of collaborators may be named."""
    filled = "**Team** (at most 2 people): {}\n\n**Collaborators** (whom, or *none*): none"
    said = {
        "YOUR TEAM HERE": "the team is not filled in",
        "": "the team is not filled in",
        "Ada, Emmy, Carl": "the team has 3 members, at most 2 are allowed",
        "Ada and Emmy": None,
    }
    for team, words in said.items():
        messages = [message for message, _ in writing.collaborator_problems(filled.format(team), 2)]
        assert messages == ([words] if words else []), team
    assert not list(writing.collaborator_problems("**Collaborators**: Ada, Emmy, Carl", 1))


def test_parts_of_a_problem() -> None:
    """A problem with several answers has parts (a), (b), …; one with a single answer has none."""
    cells = [nbformat.v4.new_markdown_cell("## Question 2: Two [2 points]")]
    for name in ("one", "two"):
        metadata = {"nbgrader": {"grade_id": name, "solution": True}}
        cells.append(nbformat.v4.new_code_cell("pass", metadata=metadata))
    from dlcourse.handin.release import solution_headings

    headings = solution_headings(nbformat.v4.new_notebook(cells=cells), HandIn())
    assert headings == {"one": "Solution to Problem 2 Part (a)", "two": "Solution to Problem 2 Part (b)"}


@pytest.mark.parametrize("heading", [None, "<b>Solution</b>", "<span>**Solution to Problem 3**</span>"])
def test_answer_without_names_is_found(ready: Path, course: Course, heading: str | None) -> None:
    """An answer in words that lost its metadata is graded, whether its heading stayed, was changed or is gone."""
    notebook = nbformat.read(ready, as_version=4)
    answer = cell_of(notebook, "q3_words")
    answer.metadata, answer["id"], answer.source = nbformat.from_dict({}), "another", "Squares, in my own words."
    if heading is None:
        drop("q3_words_solution")(notebook)
    else:
        source("q3_words_solution", heading)(notebook)
    nbformat.write(notebook, ready)
    release = nbformat.read(course.path("release", "tiny") / "sums.ipynb", as_version=4)
    taken = {c.metadata.get("nbgrader", {}).get("grade_id"): c.source for c in take_in(ready, release).cells}
    assert taken["q3_words"] == "Squares, in my own words."


junk = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=6), x, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(
        st.tuples(st.sampled_from(["code", "markdown", "raw"]), st.text(max_size=60), junk, junk, junk), max_size=6
    )
)
def test_any_notebook_is_checked(ready: Path, tmp_path: Path, cells: list[tuple[Any, ...]]) -> None:
    """Cells of any text, with any metadata, outputs and counts, give findings or one plain error, never a traceback."""
    content = json.loads(ready.read_text("utf-8"))
    for kind, text, metadata, outputs, count in cells:
        cell = {"cell_type": kind, "source": text, "metadata": {"nbgrader": metadata, "id": metadata}}
        content["cells"].append(cell | ({"outputs": outputs, "execution_count": count} if kind == "code" else {}))
    path = tmp_path / "sums.ipynb"
    path.write_text(json.dumps(content), "utf-8")
    ended = check(path)
    assert ended.exit_code in (0, 1)
    assert ended.output
