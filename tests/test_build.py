"""``course build``: what it makes, and everything it refuses with the cell's name and the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from dlcourse.build import build
from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.grading.key import AnswerKey

Edit = Callable[[dict[str, NotebookNode]], None]


def edit(course: Course, change: Edit) -> None:
    """Change cells of the tiny source notebook, by id."""
    path = course.path("source", "tiny") / "sums.ipynb"
    notebook = nbformat.read(path, as_version=4)
    change({cell.id: cell for cell in notebook.cells})
    nbformat.write(notebook, path)


def nbgrader(cell: str, **values: object) -> Edit:
    return lambda cells: cells[cell].metadata.nbgrader.update(values)


def replace(cell: str, old: str, new: str) -> Edit:
    def change(cells: dict[str, NotebookNode]) -> None:
        assert old in cells[cell].source
        cells[cell].source = cells[cell].source.replace(old, new)

    return change


def outputs(cells: dict[str, NotebookNode]) -> None:
    cells["q1-run"].outputs = [nbformat.v4.new_output("stream", text="3.0")]


def solution_outside(cells: dict[str, NotebookNode]) -> None:
    cells["q1-run"].source = "### BEGIN SOLUTION\nprint(mean(x))\n### END SOLUTION"


REFUSED: dict[str, tuple[Edit, list[str]]] = {
    "graded cell without points": (nbgrader("q1_mean_test", points=0), ["q1_mean_test", "without points"]),
    "points missing": (lambda cells: cells["q1_mean_test"].metadata.nbgrader.pop("points"), ["without points"]),
    "duplicate grade_id": (nbgrader("q2_centre", grade_id="q1_mean"), ["q1_mean", "duplicate"]),
    "unreadable grade_id": (nbgrader("q2_centre", grade_id="cell-5f3a!"), ["cell-5f3a!", "unreadable"]),
    "no grade_id": (lambda cells: cells["q2_centre"].metadata.nbgrader.pop("grade_id"), ["grade_id None"]),
    "heading does not add up": (nbgrader("q1_mean_test", points=4), ["Question 1", "states 3", "have 4"]),
    "old schema": (nbgrader("q2_centre", schema_version=1), ["q2_centre", "schema_version"]),
    "no region": (replace("q1_mean", "### BEGIN SOLUTION", "#"), ["q1_mean", "pair up"]),
    "no region at all": (
        lambda cells: cells["q1_mean"].update(source="def mean(x):\n    return x.mean()"),
        ["q1_mean", "without a region"],
    ),
    "solution in a plain cell": (solution_outside, ["no nbgrader cell", "would be released"]),
    "hidden tests unclosed": (replace("q1_mean_test", "### END HIDDEN TESTS", "#"), ["q1_mean_test", "pair up"]),
    "outputs left in": (outputs, ["outputs are left in"]),
    "test cell unlocked": (nbgrader("q1_mean_test", locked=False), ["q1_mean_test", "not locked"]),
    "labels twice": (replace("q1_mean_test", "mean of squares", "mean of three"), ["two checks", "mean of three"]),
    "solution fails visible check": (replace("q1_mean_test", "3.0,", "4.0,"), ["q1_mean_test", "the solution fails"]),
    "solution raises": (replace("q2_centre", "return x - mean(x)", "raise ValueError('no')"), ["ValueError: no"]),
    "solution is random": (
        replace("q1_mean", "total / len(x)", "total / len(x) + (len(x) > 3) * np.random.default_rng().normal()"),
        ["does not pass its own check", "mean of squares"],
    ),
    "check without reference": (
        replace("q2_centre_test", 'check.close("centred"', 'if False:\n    check.close("centred"'),
        ["'centred' recorded no reference"],
    ),
    "value that cannot be graded": (
        replace("q2_centre_test", "mean=np.mean)(_z)", "mean=np.mean)(_z) * np.nan"),
        ["centred"],
    ),
    "only weightless checks": (replace("q2_centre_test", "(_z))", "(_z), weight=0)"), ["q2_centre_test", "no point"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(course: Course, name: str) -> None:
    """A faulty source is refused with cell and reason, and what was built before stays as it was."""
    change, words = REFUSED[name]
    before = {p: p.read_bytes() for p in course.root.rglob("*") if p.is_file() and "source/tiny/sums" not in str(p)}
    edit(course, change)
    with pytest.raises(CourseError) as refused:
        build(course, "tiny")
    for word in words:
        assert word in str(refused.value)
    assert {p: p.read_bytes() for p in before} == before


def test_refuses_leak(course: Course) -> None:
    """A configuration that forgets to strip the hidden tests is caught before the release is written."""
    steps = course.config.GenerateAssignment.preprocessors
    course.config.GenerateAssignment.preprocessors = [step for step in steps if not step.endswith("ClearHiddenTests")]
    release = course.path("release", "tiny") / "sums.ipynb"
    before = release.read_bytes()
    with pytest.raises(CourseError, match=r"q1_mean_test: the line .* would reach the release"):
        build(course, "tiny")
    assert release.read_bytes() == before


def test_refuses_slow_notebook(course: Course) -> None:
    """A notebook over its own time budget is refused."""
    path = course.path("source", "tiny") / "sums.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["dlcourse"] = {"seconds": 0.01}
    nbformat.write(notebook, path)
    with pytest.raises(CourseError, match="its budget is 0 s"):
        build(course, "tiny")


def test_refuses_long_cell(course: Course) -> None:
    """A cell that takes so long that a slower right answer would be stopped is named, with what to do."""
    path = course.path("source", "tiny") / "sums.ipynb"
    notebook = nbformat.read(path, as_version=4)
    work = "import time\nbegin = time.process_time()\nwhile time.process_time() < begin + 0.9: pass"
    notebook.cells.insert(1, nbformat.v4.new_code_cell(f"# long\n{work}", id="long"))
    notebook.metadata["dlcourse"] = {"cell_seconds": 1}
    nbformat.write(notebook, path)
    with pytest.raises(CourseError, match=r"`# long` took [01]\.\d s, .* stopped after 1 s.*cell_seconds"):
        build(course, "tiny")


def test_refuses_what_is_no_notebook(course: Course) -> None:
    """A source file that is not JSON is named."""
    (course.path("source", "tiny") / "sums.ipynb").write_text("{", "utf-8")
    with pytest.raises(CourseError, match=r"sums\.ipynb: not a notebook"):
        build(course, "tiny")


def test_release(built: Path) -> None:
    """The release has named stubs, no hidden tests, no rubric, no outputs, and no reference beside it."""
    release = nbformat.read(built / "release" / "tiny" / "sums.ipynb", as_version=4)
    cells = {cell.id: cell for cell in release.cells}
    assert 'raise NotImplementedError("Question 1: The mean")' in cells["q1_mean"].source
    assert 'raise NotImplementedError("Question 2: Centred values")' in cells["q2_centre"].source
    assert cells["q3_words"].source == "YOUR ANSWER HERE"
    assert "HIDDEN" not in cells["q1_mean_test"].source
    assert "q3-rubric" not in cells
    assert [p.name for p in (built / "release" / "tiny").iterdir()] == ["sums.ipynb"]


def test_references(built: Path) -> None:
    """What is recorded: kind, weight, hint, hidden or not, and the value, for every check of every test cell."""
    recorded = json.loads((built / "source" / "tiny" / "reference" / "sums.json").read_text("utf-8"))
    checks = recorded["cells"]["q1_mean_test"]
    assert list(checks) == ["mean of three", "mean of squares", "input unchanged"]
    assert [check["hidden"] for check in checks.values()] == [False, True, True]
    assert [check["weight"] for check in checks.values()] == [0, 2, 1]
    key = AnswerKey.load(Course(built), "tiny", "sums")
    assert key.references["q1_mean_test"]["mean of three"].value == 3.0


def test_same_bytes_again(course: Course) -> None:
    """Building again gives the same references and the same release, byte for byte."""
    paths = [AnswerKey.path(course, "tiny", "sums"), course.path("release", "tiny") / "sums.ipynb"]
    before = [path.read_bytes() for path in paths]
    build(course, "tiny")
    assert [path.read_bytes() for path in paths] == before


def test_cells_cannot_vanish_under_grades(course: Course, hand_in: Callable[..., Path]) -> None:
    """Once there are submissions, a renamed graded cell is refused with what to do."""
    from dlcourse.grading.grade import grade

    hand_in("full")
    grade(course, "tiny", sandboxed="none")
    edit(course, nbgrader("q2_centre_test", grade_id="q2_renamed_test"))
    with pytest.raises(CourseError, match="already holds submissions"):
        build(course, "tiny")
