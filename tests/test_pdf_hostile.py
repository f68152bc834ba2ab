"""Notebooks from anybody: everything that went wrong once, and whatever chance makes."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import nbformat
import pymupdf
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from dlcourse.errors import CourseError
from dlcourse.pdf import Limits, notebook_to_pdf
from dlcourse.pdf.bounded import node_to_pdf
from dlcourse.pdf.delimiters import extract
from dlcourse.pdf.document import Job, print_notebook

TORTURE = Path(__file__).parent / "files" / "pdf" / "notebooks" / "torture.ipynb"
SECONDS = 20.0  # what one small notebook may take here; the exporter's own bound is longer

# Every one of these words stands in the torture notebook and must stand in the PDF.
WORDS = """COVER-WORDS CODE-END-ONE CODE-END-TWO DONE-BAR SPIN STDERR-WORDS ZeroDivisionError OUT-END HTML-WORDS
MARKDOWN-OUT WIDGET JSON-KEY SECOND-THREE CENTRED-WORDS ALERT-WORDS SUMMARY-WORDS DETAILS-WORDS DEEP-WORDS DEEP-QUOTE
nested_code() LAST-WORDS RAW-WORDS column_11 47.25 cell39 head24 ☐ ☒ ‹U+6F22› ‹U+1F916› ‹U+202E› ‹U+0000› \\frac{a}{
\\nosuch{x} x^a^b log0 log1499 …1443linesnotshown… #read("/etc/passwd") gone.png example.org/x.png ../outside.png
20tablecolumnsnotshown Solution Part(a) opentask donetask $5and$10"""
WARNINGS = [
    "a brace is not closed",
    "unknown command \\nosuch",
    "two superscripts",
    "1443 output lines not shown",
    "20 table columns not shown",
    "application/vnd.vegalite.v5+json not shown",
    "not a readable picture",
    "no such file",
    "not part of the notebook",
    "outside the notebook's folder",
    "3 characters without a glyph",
]


@pytest.fixture(scope="module")
def torture(tmp_path_factory):
    path = tmp_path_factory.mktemp("torture") / "torture.pdf"
    return notebook_to_pdf(TORTURE, path, system_fonts=False), pymupdf.open(path)


def test_torture_loses_nothing(torture):
    """Every word of a notebook made of all known failures is in the PDF; what cannot be shown is said to be missing."""
    report, pdf = torture
    text = "".join("".join(page.get_text().split()) for page in pdf)
    assert [word for word in WORDS.split() if word not in text] == []
    assert [warning for warning in WARNINGS if not any(warning in line for line in report.warnings)] == []
    assert not [
        line for line in report.warnings if "could not be typeset" in line or "shown as its source (Rec" in line
    ]
    assert "root:" not in text


def test_torture_stays_within_its_margins(torture):
    """No word, no picture and no table of it leaves the text area: nothing is clipped."""
    for page in torture[1]:
        boxes = [word[:4] for word in page.get_text("words")] + [image["bbox"] for image in page.get_image_info()]
        assert boxes
        assert min(box[0] for box in boxes) > 50
        assert max(box[2] for box in boxes) < page.rect.width - 50
        assert max(box[3] for box in boxes) < page.rect.height - 30


def test_torture_keeps_its_questions_apart(torture):
    """A title used twice is two questions, and every one of them begins a page."""
    report, pdf = torture
    starts = [first for first, _ in report.pages.values()]
    assert list(report.pages)[3:5] == ["Question 3: Figures [2 points]", "Question 3: Figures [2 points] (2)"]
    assert starts == sorted(set(starts))
    assert sum(title.startswith("Question") for _, title, _ in pdf.get_toc()) == 5


def test_torture_fits_a_template(torture, tmp_path):
    """Cut to one page a question, it still loses nothing: the rest stands in the appendix."""
    template = dict.fromkeys(["Cover", "Question 1", "Question 2", "Question 3", "Question 4"], 1)
    notebook_to_pdf(TORTURE, tmp_path / "x.pdf", pages=template, system_fonts=False)
    text = "".join("".join(page.get_text().split()) for page in pymupdf.open(tmp_path / "x.pdf"))
    capped = {"log1499", "…1443linesnotshown…"}
    assert [word for word in WORDS.split() if word not in text and word not in capped] == []


FRAGMENTS = st.sampled_from(
    [
        "$", "$$", "\\begin{align}", "\\end{align}", "\\frac", "{", "}", "\\left(", "&", "\\\\", "^", "_", "`",
        "```", "~~~", "\n", "\n\n", "# ", "## Question 1: A", "- ", "1. ", "> ", "| a | b |\n|---|---|\n| c | d |",
        "<div>", "</div>", "<table><tr><td>", "<img src=x.png>", "![a](b.png)", "![a](data:image/png;base64,AAAA)",
        "![a](attachment:a.png)", "[x](http://[)", "<!--", "<svg", "<b style='color:red'>", "#read(1)",
        "\\newcommand{\\x}{\\x}", "\\x", "***", "[ ] ", "\x00", "\x1b[31m", "\r", "\b", "\u202e", "😀", "漢",
        "\ud800", "\ue000", "\u0301", "https://a.b/c", "&lt;", "\t",
    ]
)  # fmt: skip
TEXT = st.lists(FRAGMENTS | st.text(max_size=12), max_size=25).map("".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PICTURE = st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()) | st.sampled_from(
    ["<svg width='1' height='1'/>", "<svg", "iVBORw0KGgo=", "R0lGODlhAQABAAAAACw=", "/9j/4AAQ"]
)
KINDS = st.sampled_from(
    ["text/plain", "text/html", "text/latex", "text/markdown", "image/png", "image/svg+xml", "image/jpeg", "x/y"]
)
BUNDLE = st.dictionaries(KINDS, TEXT | PICTURE | JSON, max_size=3)
OUTPUT = (
    st.fixed_dictionaries({"output_type": st.just("stream"), "name": TEXT, "text": TEXT | st.lists(TEXT, max_size=2)})
    | st.fixed_dictionaries({"output_type": st.sampled_from(["display_data", "execute_result"]), "data": BUNDLE | JSON})
    | st.fixed_dictionaries({"output_type": st.just("error"), "traceback": st.lists(TEXT, max_size=2) | JSON})
    | JSON
)
CELL = (
    st.fixed_dictionaries(
        {"cell_type": st.sampled_from(["markdown", "raw"]), "source": TEXT | st.lists(TEXT, max_size=2)},
        optional={"attachments": st.dictionaries(st.just("a.png"), BUNDLE | JSON) | JSON, "metadata": JSON},
    )
    | st.fixed_dictionaries(
        {"cell_type": st.just("code"), "source": TEXT, "outputs": st.lists(OUTPUT, max_size=3) | JSON}
    )
    | st.dictionaries(st.sampled_from(["cell_type", "source", "outputs"]), JSON)
    | JSON
)
NOTEBOOK = st.fixed_dictionaries({"cells": st.lists(CELL, max_size=5), "metadata": JSON})


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(NOTEBOOK, st.booleans())
@example({"cells": [{"cell_type": "markdown", "source": "> " * 3_000 + "deep"}], "metadata": None}, True)
@example({"cells": [{"cell_type": "markdown", "source": "<b>" * 3_000 + "deep"}], "metadata": []}, False)
def test_no_notebook_crashes_the_exporter(tmp_path_factory, notebook, stable):
    """Random cells, outputs, metadata, Unicode and broken pictures always give a PDF, and soon."""
    folder = tmp_path_factory.mktemp("hostile")
    begin = time.monotonic()
    template = {"Cover": 1, "Question 1": 1} if stable else None
    printed = print_notebook(Job(notebook, folder, "x", pages=template, system_fonts=False))
    assert time.monotonic() - begin < SECONDS
    assert printed.pdf.startswith(b"%PDF")
    assert len(pymupdf.open(stream=printed.pdf)) >= 1


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_formulas_go_back_where_they_were(text):
    """Taking formulas out of a text and putting them back gives the text."""
    found = extract(text)
    private = str.maketrans("\ue000\ue001", "\ufffd\ufffd")
    assert found.restored(found.text) == text.translate(private)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text("$`\\{}[]()<>*_|-#\n ab", min_size=1, max_size=6), st.integers(1_000, 30_000), st.booleans())
@example("${", 60_000, False)
@example("`a``b```", 10_000, False)
@example("[a](", 10_000, False)
def test_the_time_bound_holds(unit, times, code):
    """What is repeated thousands of times is printed or refused, and the bound is kept."""
    text = unit * times
    cell = new_code_cell("x", outputs=[new_output("stream", text=text)]) if code else new_markdown_cell(text)
    begin = time.monotonic()
    try:
        pdf, _ = node_to_pdf(new_notebook(cells=[cell]), None, "x", system_fonts=False, limits=Limits(seconds=4))
        assert pdf.startswith(b"%PDF")
    except CourseError as error:
        assert "longer than 4 seconds" in str(error)
    assert time.monotonic() - begin < 4 + 3  # and what it takes to start and to end a process


def test_files_are_bounded_too(tmp_path):
    """A file of too many cells, a link and a pipe are refused before anything is made of them."""
    path = tmp_path / "many.ipynb"
    path.write_text(json.dumps({"cells": [{}] * 5_000, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    with pytest.raises(CourseError, match="5000 cells"):
        notebook_to_pdf(path, tmp_path / "x.pdf")
    with pytest.raises(CourseError, match="not a regular file"):
        notebook_to_pdf(Path("/dev/null"), tmp_path / "x.pdf")


def test_old_notebooks_are_read(tmp_path):
    """A notebook of format 3 is printed as well."""
    path = tmp_path / "old.ipynb"
    old = nbformat.v3.new_notebook(
        worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_text_cell("markdown", "# Old")])]
    )
    path.write_text(nbformat.v3.writes_json(old))
    assert notebook_to_pdf(path, tmp_path / "old.pdf").pages == {"Cover": (1, 1)}
