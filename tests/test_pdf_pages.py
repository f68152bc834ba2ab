"""The layout that graders rely on: every question on its pages, and a PDF that says which these are."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pymupdf
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from dlcourse.build import build
from dlcourse.cli import main
from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.pdf import notebook_to_pdf
from dlcourse.pdf.bounded import Limits, node_to_pdf
from dlcourse.pdf.pages import allotted, differences, page_map, template_map

TEMPLATE = {"Cover": 1, "Question 1: Short [1 points]": 2, "Question 2: Long [1 points]": 1, "Question 3: Last": 1}


def lines(count: int, word: str = "line") -> list[nbformat.NotebookNode]:
    """Cells whose code takes `count` lines, which nothing can make shorter."""
    return [new_code_cell("\n".join(f"# {word} {i}" for i in range(count)))]


def notebook(*parts: tuple[str, list[nbformat.NotebookNode]]) -> nbformat.NotebookNode:
    """A notebook of titled sections."""
    cells = [new_markdown_cell("# Title\n\nBefore the questions.")]
    for title, body in parts:
        cells += [new_markdown_cell(f"## {title}"), *body]
    return new_notebook(cells=cells)


def printed(tmp_path: Path, source: nbformat.NotebookNode, pages=TEMPLATE) -> tuple[Path, list[str], list[str]]:
    """The PDF's path, the text of its pages, and the warnings."""
    data, report = node_to_pdf(source, None, "x", name="Ada Lovelace", pages=pages, system_fonts=False)
    path = tmp_path / "x.pdf"
    path.write_bytes(data)
    assert page_map(path) == report.pages
    return path, [page.get_text() for page in pymupdf.open(path)], report.warnings


def test_every_question_gets_its_pages(tmp_path):
    """A class shares one layout: short answers are padded, and each question begins where the template has it."""
    source = notebook(("Question 1: Short", lines(3)), ("Question 2: Long", lines(30)), ("Question 3: Last", lines(2)))
    path, pages, warnings = printed(tmp_path, source)
    assert warnings == []
    assert len(pages) == 5
    assert "Question 1: Short" in pages[1]
    assert "This page belongs to Question 1." in pages[2]
    assert "Question 2: Long" in pages[3]
    assert "Question 3: Last" in pages[4]
    assert differences(page_map(path), TEMPLATE) == []


def test_what_is_slightly_too_long_is_compacted(tmp_path):
    """Long outputs and large figures give way before anything moves to an appendix, and the learner is told."""
    output = new_output("stream", name="stdout", text="\n".join(f"row {i}" for i in range(58)))
    cells = [new_code_cell("run()", outputs=[output]), *lines(12)]
    source = notebook(("Question 1: Short", []), ("Question 2: Long", cells), ("Question 3: Last", []))
    path, pages, warnings = printed(tmp_path, source)
    assert len(pages) == 5
    assert "… 42 lines not shown …" in pages[3]
    assert any("Question 2: Long: shown compact" in warning for warning in warnings)
    assert any("42 output lines not shown" in warning for warning in warnings)
    assert differences(page_map(path), TEMPLATE) == []


def test_the_rest_stands_in_an_appendix(tmp_path):
    """Nothing of an answer is lost: what does not fit goes to the end, both places name each other, in page order."""
    source = notebook(
        ("Question 1: Short", []), ("Question 2: Long", lines(200, "keep")), ("Question 3: Last", lines(1, "end"))
    )
    path, pages, warnings = printed(tmp_path, source)
    found = page_map(path)
    assert found["Question 2: Long"] == (4, 4)
    assert found["Question 3: Last"] == (5, 5)
    assert found["Appendix"] == (6, len(pages))
    assert len(pages) > 6
    assert "Question 2 goes on in the appendix, page 6" in pages[3]
    assert "Appendix: Question 2, from page 4" in pages[5]
    assert "keep 0" in pages[3]
    assert "keep 199" in pages[-1]
    kept = "\n".join([pages[3], *pages[5:]]).split("\n")
    assert all(f"# keep {i}" in kept for i in range(200))
    assert [f"page {n} of {len(pages)}" in page for n, page in enumerate(pages, start=1)] == [True] * len(pages)
    assert any("longer than the 1 it has" in w and "appendix, pages 6–" in w for w in warnings)
    assert differences(found, TEMPLATE) == []
    titles = {title: page for _, title, page in pymupdf.open(path).get_toc()}
    assert (titles["Question 2: Long"], titles["Question 3: Last"]) == (4, 5)  # bookmarks follow their pages


def test_missing_unknown_and_repeated_questions(tmp_path):
    """A deleted question leaves its pages empty, a question of one's own comes last; both are said."""
    source = notebook(
        ("Question 3: Last", []), ("Question 1: Short", []), ("Question 9: Mine", []), ("Question 1: Short", [])
    )
    path, pages, warnings = printed(tmp_path, source)
    assert "This page belongs to Question 2." in pages[3]
    assert "Question 3: Last" in pages[4]  # the template's order, not the notebook's
    assert "Appendix: Question 9" in pages[5]
    assert page_map(path)["Appendix"] == (6, 7)
    assert any("Question 2: Long [1 points] is missing" in warning for warning in warnings)
    assert any("Question 9: Mine is not in the assignment's template" in warning for warning in warnings)
    assert any("Question 1: Short (2) is not in the assignment's template" in warning for warning in warnings)


def test_settings_end_with_their_question(tmp_path):
    """A question that is shown compact leaves the size of the next one alone."""
    output = new_output("stream", name="stdout", text="\n".join(f"row {i}" for i in range(58)))
    first, last = (new_markdown_cell("Words of this size.") for _ in range(2))
    long = [new_code_cell("r", outputs=[output]), *lines(12)]
    source = notebook(("Question 1: Short", [first]), ("Question 2: Long", long), ("Question 3: Last", [last]))
    path, _, _ = printed(tmp_path, source)
    sizes = [
        round(span["size"], 1)
        for number in (1, 4)
        for block in pymupdf.open(path)[number].get_text("dict")["blocks"]
        for line in block.get("lines", [])
        for span in line["spans"]
        if "Words of" in span["text"]
    ]
    assert sizes == [11.0, 11.0]


def test_page_map_of_other_files(tmp_path):
    """A PDF of another program, and no PDF at all, are told apart from ours in plain words."""
    other = pymupdf.open()
    other.new_page()
    other.save(tmp_path / "other.pdf")
    with pytest.raises(CourseError, match="carries no page map"):
        page_map(tmp_path / "other.pdf")
    (tmp_path / "text.pdf").write_text("hello")
    with pytest.raises(CourseError, match="not a readable PDF"):
        page_map(tmp_path / "text.pdf")
    path, _, _ = printed(tmp_path, notebook(("Question 1: Short", [])))
    ours = pymupdf.open(path)
    ours.delete_page(4)
    ours.save(tmp_path / "less.pdf")
    with pytest.raises(CourseError, match="pages were removed"):
        page_map(tmp_path / "less.pdf")


def test_differences_name_question_and_pages():
    """What graders would look for in the wrong place is said question by question."""
    found = template_map(TEMPLATE)
    assert differences(found, TEMPLATE) == []
    del found["Question 3: Last"]
    found["Question 2: Long [1 points]"] = (4, 5)
    assert differences(found, TEMPLATE) == [
        "Question 2: Long [1 points] stands on pages 4–5, the template has it on page 4",
        "Question 3: Last is missing",
    ]


def test_authors_override_what_was_measured():
    """The template follows the solution's length with some room, an author's number wins, a wrong name is refused."""
    lengths = {"Cover": 1.4, "Question 1: A": 0.3, "Question 2: B": 0.9, "Question 3: C": 2.5}
    assert allotted(lengths, {}) == {"Cover": 2, "Question 1: A": 1, "Question 2: B": 2, "Question 3: C": 4}
    assert allotted(lengths, {"Question 3": 6, "Cover": 1})["Question 3: C"] == 6
    with pytest.raises(CourseError, match="Question 7"):
        allotted(lengths, {"Question 7": 1})


def test_template_travels_with_the_release(course: Course, tmp_path, hand_in):
    """Build, solve, print: the released notebook brings its layout along, and the blank template has the same pages."""
    path = hand_in("ada")
    ran = CliRunner().invoke(main, ["pdf", str(path), "--name", "Ada", "--pages", "template"])
    assert ran.exit_code == 0, ran.output
    assert "Question 2" in ran.output
    template = json.loads(path.read_text())["metadata"]["dlcourse"]["pages"]
    made = CliRunner().invoke(main, ["-C", str(course.root), "export", "template", "tiny"])
    assert made.exit_code == 0, made.output
    blank = course.root / "pdf" / "tiny" / "sums-template.pdf"
    assert page_map(blank) == page_map(path.with_suffix(".pdf")) == template_map(template)
    assert "Name: ____" in pymupdf.open(blank)[0].get_text()
    assert [title for _, title, _ in pymupdf.open(blank).get_toc()] == list(template)


def test_author_sets_the_pages_of_a_question(course: Course):
    """A number in the source's metadata is the number in the release; a word in its place stops the build."""
    source = course.path("source", "tiny") / "sums.ipynb"
    content = nbformat.read(source, as_version=4)
    content.metadata["dlcourse"] = {**content.metadata.get("dlcourse", {}), "pages": {"Question 2": 7}}
    nbformat.write(content, source)
    build(course, "tiny")
    pages = nbformat.read(course.path("release", "tiny") / "sums.ipynb", as_version=4).metadata.dlcourse.pages
    assert [count for title, count in pages.items() if title.startswith("Question 2")] == [7]
    content.metadata.dlcourse.pages["Question 2"] = "seven"
    nbformat.write(content, source)
    with pytest.raises(CourseError, match="must be numbers of pages"):
        build(course, "tiny")


def test_without_a_template(tmp_path):
    """A notebook whose metadata was lost gets a reason and a way out, not a PDF with another layout."""
    path = tmp_path / "lost.ipynb"
    nbformat.write(notebook(("Question 1: Short", [])), path)
    with pytest.raises(CourseError, match="no page template"):
        notebook_to_pdf(path, tmp_path / "lost.pdf", pages="template")
    assert not (tmp_path / "lost.pdf").exists()


def test_a_class_is_printed(course: Course, hand_in):
    """Every graded submission gets its PDF; a broken one and one not graded are named, the others are made."""
    for student in ("ada", "bob", "eve", "new"):
        graded = course.path("autograded", "tiny", student) / "sums.ipynb"
        written = hand_in(student)
        if student != "new":
            graded.parent.mkdir(parents=True)
            graded.write_bytes(written.read_bytes())
    (course.path("autograded", "tiny", "eve") / "sums.ipynb").write_text("{")
    ran = CliRunner().invoke(
        main, ["-C", str(course.root), "pdf", "--all", "tiny", "--pages", "template", "--workers", "2"]
    )
    assert ran.exit_code == 1
    assert "2 PDFs in" in ran.output
    assert "eve/sums: no PDF:" in ran.output
    assert "new/sums: no PDF: not graded" in ran.output
    folder = course.root / "pdf" / "tiny" / "sums"
    assert sorted(p.name for p in folder.iterdir()) == ["ada.pdf", "bob.pdf"]
    assert page_map(folder / "ada.pdf") == page_map(folder / "bob.pdf")
    assert "ada" in pymupdf.open(folder / "ada.pdf")[0].get_text()


def test_time_and_memory_are_bounded(tmp_path):
    """A notebook that takes too long or too much is refused with its largest cell named, and no file is left."""
    source = notebook(("Question 1: Short", lines(2_000)), ("Question 2: Long", lines(2_500)))
    path = tmp_path / "x.ipynb"
    nbformat.write(source, path)
    with pytest.raises(CourseError, match=r"longer than 0.2 seconds"):
        notebook_to_pdf(path, tmp_path / "x.pdf", limits=Limits(seconds=0.2))
    with pytest.raises(CourseError, match=r"more than 150 MiB of memory.*cell 5"):
        notebook_to_pdf(path, tmp_path / "x.pdf", limits=Limits(memory=150))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.ipynb"]
