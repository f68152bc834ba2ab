"""``course pack``: the files to hand in, for any name, the same bytes each time, and never silently in disorder."""

from __future__ import annotations

import io
import json
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import pymupdf
import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st

from dlcourse.cli import main
from dlcourse.errors import CourseError
from dlcourse.handin import pack as packing
from dlcourse.handin.names import is_reserved, name_part, people
from dlcourse.pdf.pages import page_map

STEM = "Lovelace_Ada_dlcourse_assignment_tiny"


@pytest.fixture
def ready(hand_in: Callable[..., Path], finish: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A folder with a notebook that breaks no rule, as a learner has it."""
    folder = tmp_path / "laptop"
    folder.mkdir()
    return finish(hand_in("ada")).rename(folder / "sums.ipynb").parent


def pack(folder: Path, *options: str, first: str = "Ada", last: str = "Lovelace", assignment: str = "tiny") -> Result:
    arguments = ["-C", str(folder), "pack", assignment, "--first", first, "--last", last, *options]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_pack(ready: Path) -> None:
    """PDF, notebook and ZIP under the course's name; the ZIP holds exactly the other two; the PDF has name and text."""
    ended = pack(ready)
    assert ended.exit_code == 0, ended.output
    made = files(ready / "hand-in")
    assert set(made) == {f"{STEM}.pdf", f"{STEM}.ipynb", f"{STEM}.zip"}
    assert made[f"{STEM}.ipynb"] == (ready / "sums.ipynb").read_bytes()
    with zipfile.ZipFile(io.BytesIO(made[f"{STEM}.zip"])) as archive:
        assert archive.namelist() == [f"{STEM}.ipynb", f"{STEM}.pdf"]
        assert all(archive.read(name) == made[name] for name in archive.namelist())
    with pymupdf.open(stream=made[f"{STEM}.pdf"]) as pdf:
        text, pages = "".join(page.get_text() for page in pdf), len(pdf)
    assert "Ada Lovelace" in text
    assert "Solution to Problem 1" in text
    assert f"{pages} pages" in ended.stdout


def test_headings_are_red(ready: Path) -> None:
    """The heading of an answer is bold and red in the PDF, and says so on the feedback page."""
    from dlcourse.feedback.markdown import render

    pack(ready)
    with pymupdf.open(ready / "hand-in" / f"{STEM}.pdf") as pdf:
        spans = [
            s for page in pdf for b in page.get_text("dict")["blocks"] for x in b.get("lines", []) for s in x["spans"]
        ]
    heading = next(span for span in spans if "Solution to Problem 1" in span["text"])
    assert (heading["color"], "Bold" in heading["font"]) == (0xFF0000, True)
    shown = render(
        '<span style="color:red">**Solution to Problem 1**</span> <span style="color:red" onclick="x">no</span>'
    )
    assert '<span class="red"><strong>Solution to Problem 1</strong></span>' in shown
    assert "onclick=&quot;" in shown


def test_same_bytes(ready: Path) -> None:
    """Packing twice, elsewhere and later, gives the same bytes."""
    pack(ready)
    pack(ready, "-o", str(ready / "again"))
    assert files(ready / "again") == files(ready / "hand-in")


def test_refuses_with_reasons(ready: Path) -> None:
    """A notebook that breaks rules is not packed and every reason is named; --anyway adds a last page of them."""
    notebook = nbformat.read(ready / "sums.ipynb", as_version=4)
    next(cell for cell in notebook.cells if cell.id == "q3_words").source = "YOUR ANSWER HERE"
    nbformat.write(notebook, ready / "sums.ipynb")
    ended = pack(ready)
    assert ended.exit_code == 1
    assert "placeholders: Question 3, cell 15: no answer yet. Answer the question." in ended.stderr
    assert not (ready / "hand-in").exists()
    ended = pack(ready, "--anyway")
    assert ended.exit_code == 0
    assert "see the last page" in ended.stderr
    with pymupdf.open(ready / "hand-in" / f"{STEM}.pdf") as pdf:
        assert "Packed although hand-in rules are broken" in pdf[-1].get_text()
        assert "no answer yet" in pdf[-1].get_text()
        assert "Question 3" in pdf[-2].get_text()


def test_several_notebooks(ready: Path) -> None:
    """An assignment of several notebooks gives one PDF with all of them, each notebook under its name, one ZIP."""
    first = json.loads((ready / "sums.ipynb").read_text("utf-8"))
    first["metadata"]["dlcourse"]["handin"]["notebooks"] = ["more", "sums"]
    second = json.loads(json.dumps(first))
    second["metadata"]["dlcourse"]["handin"]["notebook"] = "more"
    second["cells"][0]["source"] = "# More\n\nA second notebook."
    second["metadata"]["dlcourse"]["handin"]["rules"] = ["executed"]
    (ready / "sums.ipynb").write_text(json.dumps(first), "utf-8")
    ended = pack(ready)
    assert "more.ipynb is missing" in ended.stderr
    (ready / "more.ipynb").write_text(json.dumps(second), "utf-8")
    assert pack(ready).exit_code == 0
    made = files(ready / "hand-in")
    assert set(made) == {f"{STEM}.pdf", f"{STEM}_more.ipynb", f"{STEM}_sums.ipynb", f"{STEM}.zip"}
    with pymupdf.open(stream=made[f"{STEM}.pdf"]) as pdf:
        titles = [title for level, title, _ in pdf.get_toc() if level == 1]
        assert "A second notebook" in pdf[0].get_text()
    assert titles == ["More", "Sums"]
    pack(ready, "-o", str(ready / "again"))
    assert files(ready / "again") == made


def test_template_layout(ready: Path) -> None:
    """Where the course wants one layout, every question of every notebook has its pages, or the reason is named."""
    first = json.loads((ready / "sums.ipynb").read_text("utf-8"))
    first["metadata"]["dlcourse"]["pages"] = {"Cover": 2, "Question 1": 2, "Question 2": 1, "Question 3": 2}
    first["metadata"]["dlcourse"]["handin"] |= {"notebooks": ["more", "sums"], "layout": "template"}
    second = json.loads(json.dumps(first))
    second["metadata"]["dlcourse"]["handin"]["notebook"] = "more"
    for name, notebook in (("sums", first), ("more", second)):
        (ready / f"{name}.ipynb").write_text(json.dumps(notebook), "utf-8")
    ended = pack(ready)
    assert ended.exit_code == 0, ended.output
    found = list(page_map(ready / "hand-in" / f"{STEM}.pdf").items())
    assert [span for _, span in found] == [(1, 2), (3, 4), (5, 5), (6, 7), (8, 9), (10, 11), (12, 12), (13, 14)]
    assert [title.partition(":")[0] for title, _ in found] == ["more"] * 4 + ["sums"] * 4
    for layout, misplaced in (("template", False), ("natural", True)):
        CliRunner().invoke(main, ["pdf", str(ready / "sums.ipynb"), "--pages", layout])
        said = CliRunner().invoke(main, ["check", str(ready / "sums.ipynb"), "--json", "-"])
        assert ("the template has it on page" in said.stdout) is misplaced, said.stdout
    words = next(cell for cell in first["cells"] if cell["id"] == "q3_words")
    words["source"] = "\n\n".join(f"Reason {number}." for number in range(300))
    (ready / "sums.ipynb").write_text(json.dumps(first), "utf-8")
    second["cells"] = first["cells"]
    (ready / "more.ipynb").write_text(json.dumps(second), "utf-8")
    packed = pack(ready, "-o", str(ready / "long"))
    assert packed.exit_code == 0, packed.output
    assert "sums.ipynb, Question 3" in packed.stderr
    assert "longer than the 2 it has" in packed.stderr
    *places, more, sums = page_map(ready / "long" / f"{STEM}.pdf").items()
    assert [span for _, span in places] == [span for _, span in found]
    assert (more[0], sums[0]) == ("more: Appendix", "sums: Appendix")
    assert 15 == more[1][0] <= more[1][1] == sums[1][0] - 1
    del first["metadata"]["dlcourse"]["pages"]
    (ready / "sums.ipynb").write_text(json.dumps(first), "utf-8")
    assert "carries no page template" in pack(ready).stderr


def test_which_notebook(ready: Path) -> None:
    """A wrong assignment, two copies without the right name, a lost sheet: one sentence that says what to do."""
    assert "The notebooks in it are of: tiny" in pack(ready, assignment="ps6_rnn").stderr
    (ready / "sums.ipynb").rename(ready / "a.ipynb")
    (ready / "b.ipynb").write_bytes((ready / "a.ipynb").read_bytes())
    assert "Which one is sums.ipynb? a.ipynb, b.ipynb" in pack(ready).stderr
    assert pack(ready, assignment="b.ipynb").exit_code == 0
    (ready / "b.ipynb").unlink()
    (ready / "a.ipynb").write_text("{}", "utf-8")
    assert "it has no list of cells" in pack(ready).stderr
    nbformat.write(nbformat.v4.new_notebook(), ready / "a.ipynb")
    assert "No notebook in it carries hand-in rules" in pack(ready).stderr


def test_what_was_packed_is_opened(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PDF or a ZIP that does not come out whole is never left behind as a hand-in."""
    for name, broken in (("_pdf", lambda *_: (b"%PDF-1.4", {}, [])), ("zip_bytes", lambda *_, **__: b"PK\x05\x06")):
        with monkeypatch.context() as patch:
            patch.setattr(packing, name, broken)
            ended = pack(ready, "--anyway")
        assert ended.exit_code == 1
        assert not (ready / "hand-in").exists()


NAMES = {
    "van der Berg": "van-der-Berg",
    "O'Neill-Žižek": "O'Neill-Žižek",
    "../../etc/passwd": "etc-passwd",
    ".hidden.": "hidden",
    'a:b*c?"<>|\\d': "a-b-c-d",
    "李明": "李明",
    "שָׁלוֹם": "שָׁלוֹם",
    "\u202eevil\u202c": "evil",
    "e\u0301milie": "émilie",
    "علی\u200cرضا": "علی\u200cرضا",
    "Smith_Jr": "Smith-Jr",
}


@pytest.mark.parametrize("name", NAMES)
def test_name(name: str) -> None:
    """Names of any script become parts of file names that people recognise."""
    assert name_part(name, "name") == unicodedata.normalize("NFC", NAMES[name])


@given(first=st.text(max_size=200), last=st.text(max_size=200))
@example(first="COM1", last="CON")
@example(first="\udcff", last="\x00")
@example(first="é" * 200, last="👩‍🚀")
def test_any_name(first: str, last: str) -> None:
    """Any two names make a file name that is legal on every system and is read back, or are refused in words."""
    try:
        parts = {"last": name_part(last, "last name"), "first": name_part(first, "first name")}
    except CourseError as error:
        assert "has no letter" in str(error)
        return
    stem = "{last}_{first}_ECE_4252_S25_assignment_7"
    name = stem.format(**parts)
    assert len(f"{name}.ipynb".encode()) <= 255
    assert unicodedata.is_normalized("NFC", name)
    assert not set(name) & set('/\\:*?"<>|\x00') and not name.startswith((".", " ", "-"))
    assert name.encode("utf-8")
    assert not is_reserved(name)
    assert people(stem, name) == (parts["last"], parts["first"])
    assert people(stem, f"{name}-2") == people(stem, f"{name} (1)") == people(stem, unicodedata.normalize("NFD", name))
