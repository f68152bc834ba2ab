"""The PDF of a notebook, judged by what a reader finds in it: text, outline, pages and pixels."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
import pymupdf
import pytest
from pdf_text import lost

from dlcourse.errors import CourseError
from dlcourse.pdf import GradescopeExporter, notebook_to_pdf
from dlcourse.pdf.bounded import node_to_pdf
from dlcourse.pdf.compiler import Block, Compiler
from dlcourse.pdf.escape import Escaper, literal
from dlcourse.pdf.glyphs import missing_characters
from dlcourse.pdf.template import Header, preamble
from dlcourse.terminal import capped, screen_lines

NOTEBOOKS = Path(__file__).parent / "files" / "pdf" / "notebooks"
REPOSITORY = Path(__file__).parent.parent
SOLVED = sorted((REPOSITORY / "autograded" / "full_marks").glob("*/*.ipynb"))


class Rendered:
    """A notebook's PDF, opened, with the warnings of the export."""

    def __init__(self, notebook: str, folder: Path, **options: str) -> None:
        self.path = folder / f"{notebook}{len(options)}.pdf"
        self.report = notebook_to_pdf(NOTEBOOKS / f"{notebook}.ipynb", self.path, system_fonts=False, **options)
        self.warnings = self.report.warnings
        self.pdf = pymupdf.open(self.path)
        self.pages = [page.get_text() for page in self.pdf]
        self.text = "\n".join(self.pages)

    def warned(self, *words: str) -> bool:
        return any(all(word in warning for word in words) for warning in self.warnings)


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pdf")
    return cache(lambda notebook, **options: Rendered(notebook, folder, **options))


def pixels(page, dpi: int = 72) -> np.ndarray:
    """The page as an array (height, width, 3) of bytes."""
    picture = page.get_pixmap(dpi=dpi, alpha=False)
    return np.frombuffer(picture.samples, np.uint8).reshape(picture.height, picture.width, 3)


def coloured(page, colour: tuple[int, int, int]) -> np.ndarray:
    """Where the page has exactly this colour, (height, width)."""
    return (pixels(page) == np.array(colour)).all(axis=2)


def ink(page, box) -> float:
    """Share of dark pixels within a box given in points."""
    top, bottom, left, right = int(box.y0), int(box.y1) + 1, int(box.x0), int(box.x1) + 1
    return float((pixels(page)[top:bottom, left:right].mean(axis=2) < 128).mean())


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_solved_notebooks_of_the_course(path, tmp_path):
    """Every solution, executed, is printed without a warning; all lines of its code, answers and outputs are there."""
    report = notebook_to_pdf(path, tmp_path / "x.pdf", system_fonts=False)
    assert report.warnings == []
    assert lost(path, tmp_path / "x.pdf") == []


def test_text_header_and_footer_are_on_every_page(render):
    """Every page tells whose it is, what it is and which of how many."""
    result = render("questions", name='Ada "#x" Lovelace', course="Deep Learning")
    assert len(result.pages) == 3
    for number, page in enumerate(result.pages, start=1):
        for part in ("Recurrent networks", 'Ada "#x" Lovelace', "Deep Learning", f"page {number} of 3"):
            assert part in page
    assert result.warnings == []
    assert result.pdf.metadata["author"] == 'Ada "#x" Lovelace'


def test_questions_begin_pages_and_fill_the_outline(render):
    """Each question begins a page; smaller headings do not; all of them are bookmarks."""
    result = render("questions")
    assert result.pdf.get_toc() == [
        [1, "Recurrent networks", 1],
        [2, "Question 1: Softmax [6 points]", 2],
        [2, "Question 2: Gradient [4 points]", 3],
        [3, "Details", 3],
    ]
    assert "No new page for this one." in result.pages[2]


def test_links_lead_only_to_the_web(render):
    """A web link is one; a script is plain text."""
    result = render("questions")
    links = [link.get("uri") for page in result.pdf for link in page.get_links()]
    assert links == ["https://example.org/paper"]
    assert "this" in result.pages[0]


def test_money_stays_prose(render):
    """Dollar signs of prices are no formulas."""
    assert "A book costs $5 and $10 at most." in render("questions").text


def test_long_code_lines_wrap_inside_the_page(render):
    """The end of a long line is on the page, within its margins, with blanks and without."""
    page = render("questions").pdf[1]
    text = page.get_text().replace("\n", "")
    assert "LINE-END-ONE" in text
    assert "a" * 300 + "LINE-END-TWO" in text  # cut by the page, not by characters of the exporter's own
    words = page.get_text("words")
    assert min(word[0] for word in words) > 50
    assert max(word[2] for word in words) < page.rect.width - 50
    assert pixels(page)[:, -50:].min() > 200  # nothing runs into the margin


def test_formulas_are_set(render):
    """Formulas, macros and environments are mathematics that can be selected, without a warning."""
    result = render("maths")
    assert result.warnings == []
    assert "\\" not in result.text
    assert "∑" in result.text
    assert len(result.pdf) == 1  # no formula grew beyond reason


def test_bad_formulas_are_shown_and_reported(render):
    """What cannot be set is there as its source, and the warning names the cell."""
    result = render("bad_maths")
    for source in (r"$\frac{a}{$", r"$\nosuchcommand{x}$", r"\loop\loop"):
        assert source in result.text
    assert result.warned("cell 1", r"\frac{a}{")
    assert result.warned("unknown command", r"\nosuchcommand")
    assert result.warned("macros without end")


def test_progress_bar_and_capped_output(render):
    """A progress bar shows its last state; a long output its head, its tail and the count between."""
    result = render("outputs")
    assert "100%|██████████| 100/100" in result.text
    assert "50%|" not in result.text
    assert "row 0\n" in result.text
    assert "row 299" in result.text
    assert "row 150" not in result.text
    assert "… 240 lines not shown …" in result.text
    assert result.warned("cell 2", "240 output lines not shown")


def test_error_and_html_outputs(render):
    """A traceback has no escape codes; a data frame is set as a table."""
    text = render("outputs").text
    assert "ZeroDivisionError: division by zero" in text
    assert "[31m" not in text
    assert "HTML-ONLY-CELL" in text
    assert "PLAIN-TABLE" not in text


@pytest.mark.parametrize(("colour", "width", "height"), [((255, 0, 0), 150, 75), ((0, 255, 0), 75, 37.5)])
def test_figures_have_their_colour_and_size(render, colour, width, height):
    """A PNG and an SVG output appear whole, in their colour and natural size in points."""
    areas = [coloured(page, colour) for page in render("outputs").pdf]
    [area] = [area for area in areas if area.any()]  # on one page only: not split
    rows, columns = np.nonzero(area)
    assert abs(np.ptp(columns) + 1 - width) <= 2
    assert abs(np.ptp(rows) + 1 - height) <= 2


def test_images_beside_the_notebook_and_attached(render):
    """Files beside the notebook and attachments are shown."""
    page = render("images").pdf[0]
    for colour in ((0, 0, 255), (255, 0, 0)):
        assert coloured(page, colour).sum() > 10_000


def test_images_from_elsewhere_are_placeholders(render):
    """Missing, outside, absolute, remote and corrupt images are visible boxes and warnings."""
    result = render("images")
    assert (NOTEBOOKS.parent / "outside.png").is_file()  # outside, not missing
    for what, reason in {
        "nowhere.png": "no such file",
        "../outside.png": "outside the notebook's folder",
        "/etc/passwd": "outside the notebook's folder",
        "https://example.org/remote.png": "not part of the notebook",
        "image/png output": "not a readable picture",
    }.items():
        assert result.warned(what, reason)
        assert what in result.text.replace("\n", "")
    assert len(result.warnings) == 5
    assert not coloured(result.pdf[0], (0, 255, 0)).any()


def test_injection_is_printed_literally(render):
    """Typst code in any part of a notebook is text."""
    injection = '#read("/etc/passwd")'
    result = render("hostile", name=injection, course=injection)
    assert "root:" not in result.text
    for part in ("Title", "Prose", "item"):
        assert f"{part} {injection}" in result.text
    for part in ("output", "traceback", "raw"):
        assert f"{injection} {part}" in result.text
    assert '"]); #panic("y")' in result.text
    assert '#panic("x") ] } $ end' in result.text
    assert not result.warned("could not be typeset")


def test_missing_glyphs_are_visible_and_reported(render):
    """Characters that no font has, and direction overrides, are shown as their code points."""
    result = render("hostile")
    for shown in ("Robot ‹U+1F916›", "kanji ‹U+65E5›", "direction ‹U+202E› reversed"):
        assert shown in result.text
    assert result.warned("2 characters without a glyph", "U+65E5", "U+1F916")


def test_very_many_missing_glyphs(tmp_path):
    """A page of Chinese is reported soon, and costs no character that has a glyph."""
    chinese = "".join(map(chr, range(0x4E00, 0x4F80)))
    assert missing_characters([chinese, "α█∇😀"], Compiler(tmp_path)) == set(chinese)


@pytest.mark.parametrize("text", ['"', "\\", '\\"', "#x", "a\nb", "\t", "\x00", "\x1b[0m", "\ud800", "\\u{41}"])
def test_any_text_compiles_to_itself(tmp_path, text):
    """A string literal never ends early and never fails, whatever is in it."""
    escaper = Escaper()
    pdf = pymupdf.open(stream=Compiler(tmp_path).pdf(f"{escaper.text(f'<{text}>')}#[after]"))
    shown = pdf[0].get_text().replace("\n", " ")
    assert "<" in shown
    assert shown.rstrip().endswith(">after")
    if text.isprintable():
        assert f"<{text}>" in shown


def test_a_failing_block_does_not_lose_the_document(tmp_path):
    """Blocks that Typst refuses are replaced by their plain source, and named; the others stay."""
    escaper = Escaper()
    blocks = [Block(f"#[block{i}]\n\n", f"#[plain{i}]\n\n", f"cell {i}") for i in range(1, 6)]
    blocks[1].source = '#panic("no")'
    blocks[3].source = "#block(["
    blocks[3].fallback = escaper.raw_block("its #source")
    compiler, opening = Compiler(tmp_path), preamble(escaper, Header("t"), [])
    mended, warnings = compiler.mended(opening, blocks)
    data = compiler.pdf(opening + "".join(block.source for block in mended))
    text = pymupdf.open(stream=data)[0].get_text()
    for shown in ("block1", "plain2", "block3", "its #source", "block5"):
        assert shown in text
    assert [warning.split(":")[0] for warning in warnings] == ["cell 2", "cell 4"]


def test_the_compiler_reads_nothing_outside_its_folder(tmp_path):
    """Even Typst code of our own could not read a file from elsewhere."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    compiler = Compiler(root)
    assert compiler.problem(f"#read({literal(str(tmp_path / 'secret.txt'))})") is not None
    assert compiler.problem('#read("../secret.txt")') is not None
    (root / "known.txt").write_text("known")
    assert compiler.problem('#read("known.txt")') is None


def test_the_same_notebook_gives_the_same_bytes(render, tmp_path):
    """Two exports of one notebook are equal."""
    first = render("outputs").path.read_bytes()
    again = Rendered("outputs", tmp_path)
    assert again.path.read_bytes() == first
    assert not again.pdf.metadata["creationDate"]  # the clock of the second export is not in it


def test_a_file_that_is_no_notebook_is_refused(tmp_path):
    """Not JSON, and JSON that is no notebook, are told apart from a notebook."""
    path = tmp_path / "x.ipynb"
    for content in ("hello", "[]", json.dumps({"cells": 1, "nbformat": 4, "nbformat_minor": 5, "metadata": {}})):
        path.write_text(content)
        with pytest.raises(CourseError, match=r"x\.ipynb is not a notebook"):
            notebook_to_pdf(path, tmp_path / "x.pdf")


def test_malformed_cells_do_not_lose_the_document():
    """Cells that break every expectation leave a warning, and the cells after them."""
    notebook = nbformat.read(NOTEBOOKS / "images.ipynb", as_version=4)
    attached, code, last = notebook.cells[1], notebook.cells[-1], notebook.cells[0]
    attached.attachments = {"red.png": "no bundle"}
    attached.source += "\n\n<![broken [x](http://[) ![y](http://[) ![z](%00.png)"
    code.outputs = [{"output_type": "display_data", "data": {"image/png": 3}}, "no output"]
    last.source = "the last words"
    notebook.cells = [attached, code, last]
    pdf, report = node_to_pdf(notebook, NOTEBOOKS, "x")
    text = pymupdf.open(stream=pdf)[0].get_text()
    assert "the last words" in text
    assert "they are malformed" in text
    assert any(warning.startswith("cell 1") for warning in report.warnings)
    assert any(warning.startswith("cell 2") for warning in report.warnings)


def test_the_exporter_works_on_a_node_without_a_file():
    """A notebook in memory has no folder: its images are placeholders, the rest is there."""
    notebook = nbformat.read(NOTEBOOKS / "images.ipynb", as_version=4)
    pdf, resources = GradescopeExporter(student_name="Ada").from_notebook_node(notebook)
    assert "Ada" in pymupdf.open(stream=pdf)[0].get_text()
    assert resources["output_extension"] == ".pdf"
    assert any("blue.png" in warning and "no folder" in warning for warning in resources["gradescope_warnings"])


def test_nbconvert_command(tmp_path):
    """The command of nbconvert writes the PDF, with images beside the notebook."""
    exporter = "dlcourse.pdf.GradescopeExporter"
    command = [sys.executable, "-m", "nbconvert", "--to", exporter, "--output-dir", str(tmp_path), "images.ipynb"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, cwd=NOTEBOOKS, env=environment, check=True, capture_output=True, timeout=120)
    assert coloured(pymupdf.open(tmp_path / "images.pdf")[0], (0, 0, 255)).any()


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("a\rb", ["b"]),
        ("abc\rx", ["xbc"]),
        ("ab\b\bxy", ["xy"]),
        ("\x1b[31mred\x1b[0m", ["red"]),
        ("a\r\nb\n\n", ["a", "b"]),
        ("\x1b]8;;http://x\x07link", ["link"]),
    ],
)
def test_screen_lines(printed, shown):
    """Text comes out as a terminal leaves it."""
    assert screen_lines(printed) == shown


def test_capped_counts_what_it_hides():
    """Shown and hidden lines add up, for many lines and for one endless line."""
    lines, hidden = capped("\n".join(map(str, range(100))), columns=80, max_lines=30)
    assert len(lines) == 31
    assert hidden == 70
    assert lines[20] == "… 70 lines not shown …"
    lines, hidden = capped("x" * 1000, columns=10, max_lines=30)
    assert hidden == 70
    assert len(lines) == 31
    lines, hidden = capped("\n".join("y" * 95 for _ in range(100)), columns=10, max_lines=30)
    assert hidden == 70 + 19 * 10 - 20 + 10 * 10 - 10 + 10  # pieces of shown lines count too
    lines, hidden = capped("z\n" * 1_000_000, columns=10, max_lines=30)
    assert hidden == 999_970
    assert capped("short", columns=80, max_lines=30) == (["short"], 0)
