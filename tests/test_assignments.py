"""Every assignment: references recorded again, sample submissions graded, nothing hidden named where it is seen."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from pdf_text import lost

from dlcourse.audit.answers import Answers, load, solutions
from dlcourse.build.record import record
from dlcourse.course import Course
from dlcourse.grading.grade import grade
from dlcourse.grading.key import AnswerKey, is_test, source_digest
from dlcourse.pdf import notebook_to_pdf
from dlcourse.predicates import PROPERTIES

ROOT = Path(__file__).resolve().parent.parent
ASSIGNMENTS = sorted(p.name for p in (ROOT / "source").iterdir())
NOTEBOOKS = [(p.parent.name, p.stem) for p in sorted((ROOT / "source").glob("*/*.ipynb"))]


def source_of(assignment: str, notebook: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "source" / assignment / f"{notebook}.ipynb", as_version=4)


@cache
def answers_of(assignment: str, notebook: str) -> Answers:
    return load(ROOT / "tests" / "audit" / assignment / f"{notebook}.toml", source_of(assignment, notebook))


def first(assignment: str, notebook: str, kind: str) -> dict[str, str]:
    """The first wrong or right answer to every cell that has one, the solution elsewhere."""
    chosen: dict[str, str] = {}
    for answer in getattr(answers_of(assignment, notebook), kind):
        chosen.setdefault(answer.grade_id, answer.source)
    return solutions(source_of(assignment, notebook)) | chosen


def expected(course: Course, assignment: str, notebook: str) -> float:
    """Points of the first wrong answers: those of each test cell, less the share of the checks written down."""
    fails: dict[str, frozenset[str]] = {}
    for answer in answers_of(assignment, notebook).wrong:
        fails.setdefault(answer.grade_id, answer.fails)
    lost = frozenset().union(*fails.values())
    references = AnswerKey.load(course, assignment, notebook).references
    score = 0.0
    for cell in filter(is_test, source_of(assignment, notebook).cells):
        grade_id = cell.metadata.nbgrader.grade_id
        checks = {f"{grade_id}/{label}": ref for label, ref in references[grade_id].items()}
        kept = [ref for label, ref in checks.items() if label not in lost]
        if any(ref.weight and ref.kind not in PROPERTIES for ref in kept):  # properties alone earn nothing
            share = sum(ref.weight for ref in kept) / sum(ref.weight for ref in checks.values())
            score += cell.metadata.nbgrader.points * share
    return score


def graded_part(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook up to its last test cell: what comes after is looked at, and takes most of the time."""
    last = max(n for n, cell in enumerate(notebook.cells) if is_test(cell))
    del notebook.cells[last + 1 :]
    return notebook


@pytest.mark.parametrize(("assignment", "notebook"), NOTEBOOKS)
def test_references_are_recorded_bit_for_bit(assignment: str, notebook: str) -> None:
    """Running the solution again records what is committed, and the release was made from this source."""
    committed = json.loads(AnswerKey.path(Course(ROOT), assignment, notebook).read_text("utf-8"))
    assert committed["source_sha256"] == source_digest(source_of(assignment, notebook)), "stale: course build"
    recorded, _ = record(graded_part(source_of(assignment, notebook)), ROOT / "source" / assignment)
    assert recorded["cells"] == committed["cells"]
    release = nbformat.read(ROOT / "release" / assignment / f"{notebook}.ipynb", as_version=4)
    kept = {cell.id: cell.source for cell in release.cells}
    for cell in source_of(assignment, notebook).cells:
        if cell.id in kept and not cell.metadata.get("nbgrader"):
            assert kept[cell.id] == cell.source, "stale: course build"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_sample_submissions(assignment: str, tmp_path: Path) -> None:
    """Right answers get every point, typical mistakes what they deserve, a blank nothing; nothing is lost in print."""
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    for name in ("source", "release"):
        shutil.copytree(ROOT / name / assignment, tmp_path / name / assignment)
    shutil.copy(ROOT / "gradebook.db", tmp_path)
    course = Course(tmp_path)
    scores = dict.fromkeys(("full_marks", "different_but_right", "typical_mistakes", "blank"), 0.0)
    for name in course.notebooks(assignment):
        cells = {
            "full_marks": solutions(source_of(assignment, name)),
            "different_but_right": first(assignment, name, "right"),
            "typical_mistakes": first(assignment, name, "wrong"),
            "blank": {},
        }
        points = sum(c.metadata.nbgrader.points for c in filter(is_test, source_of(assignment, name).cells))
        scores["full_marks"] += points
        scores["different_but_right"] += points
        scores["typical_mistakes"] += expected(course, assignment, name)
        release = (tmp_path / "release" / assignment / f"{name}.ipynb").read_text("utf-8")
        for student, texts in cells.items():
            notebook = graded_part(nbformat.reads(release, as_version=4))
            for cell in notebook.cells:
                cell.source = texts.get(cell.metadata.get("nbgrader", {}).get("grade_id", ""), cell.source)
            path = tmp_path / "submitted" / student / assignment / f"{name}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, path)
    graded = grade(course, assignment)
    assert graded.failed == {}
    assert {one.student: one.score for one in graded.submissions} == pytest.approx(scores, abs=1e-6)
    for name in course.notebooks(assignment):
        executed = course.path("autograded", assignment, "full_marks") / f"{name}.ipynb"
        assert notebook_to_pdf(executed, tmp_path / f"{name}.pdf").warnings == []
        assert lost(executed, tmp_path / f"{name}.pdf") == []


@pytest.mark.parametrize(("assignment", "notebook"), NOTEBOOKS)
def test_hidden_tests(assignment: str, notebook: str) -> None:
    """Every test cell ends with hidden tests; their own names begin with an underscore and are not seen elsewhere."""
    cells = source_of(assignment, notebook).cells
    parts = [cell.source.split("### BEGIN HIDDEN TESTS\n") for cell in cells]
    seen, hidden = "\n".join(part[0] for part in parts), [text for part in parts for text in part[1:]]
    assert len(hidden) == sum(map(is_test, cells))
    assert all(text.rstrip().endswith("### END HIDDEN TESTS") for text in hidden)
    private = {word for text in hidden for word in re.findall(r"\b_[a-z]\w*", text)}
    assert private
    assert [word for word in private if re.search(rf"\b{word}\b", seen)] == []


@pytest.mark.parametrize(("assignment", "notebook"), NOTEBOOKS)
def test_rubrics(assignment: str, notebook: str) -> None:
    """Below every answer in words stands what a grader gives points for, which learners do not get."""
    cells = source_of(assignment, notebook).cells
    for cell, below in pairwise(cells):
        assert cell.metadata.get("nbgrader", {}).get("grade_id", cell.id) == cell.id
        if cell.cell_type == "markdown" and cell.metadata.get("nbgrader", {}).get("grade"):
            assert below.metadata.get("tags") == ["instructor-only"], cell.id
