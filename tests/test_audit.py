"""``course audit``: the shipped graders are fair, and an unfair one is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from dlcourse.audit import audit
from dlcourse.build import build
from dlcourse.cli import main
from dlcourse.course import Course
from dlcourse.errors import CourseError

ROOT = Path(__file__).resolve().parent.parent
ASSIGNMENTS = [(p.parent.name, p.stem) for p in sorted((ROOT / "source").glob("*/*.ipynb"))]

TINY = '''
[[wrong]]
name = "n_minus_one"
grade_id = "q1_mean"
why = "divides by N - 1"
replace = [["total / len(x)", "total / (len(x) - 1)"]]
fails = ["q1_mean_test/mean of three", "q1_mean_test/mean of squares", "q2_centre_test/centred"]

[[right]]
name = "numpy"
grade_id = "q1_mean"
why = "NumPy's own"
source = """
def mean(x):
    return np.mean(x)
"""
functions = ["mean"]
'''


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("assignment", "notebook"), ASSIGNMENTS)
def test_grader_is_fair(assignment: str, notebook: str) -> None:
    """Every wrong answer and every deleted line loses points, exactly where it should; right ones lose none.

    Right answers stay well inside the tolerance in double and in single precision, the nearest wrong one well outside.
    """
    questions = audit(Course(ROOT), assignment, notebook, lines=True, quick=True)
    assert [finding for question in questions for finding in question.findings] == []
    for question in questions:
        assert question.wrong >= 6, question.grade_id
        assert question.right >= 3 * 2, question.grade_id
        assert question.noise < 0.5, question.grade_id
        assert question.nearest > 10, question.grade_id


@pytest.fixture
def audited(course: Course) -> Callable[..., list[str]]:
    """Audit the tiny course with these answers; return what was found."""

    def run(answers: str, *, quick: bool = False) -> list[str]:
        path = course.root / "tests" / "audit" / "tiny" / "sums.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(answers, "utf-8")
        return [finding for question in audit(course, "tiny", "sums", quick=quick) for finding in question.findings]

    return run


def test_fair(audited: Callable[[str], list[str]]) -> None:
    """Answers that behave as written down give no finding."""
    assert audited(TINY.replace(', "q2_centre_test/centred"', "")) == []


def test_side_by_side(audited: Callable[..., list[str]]) -> None:
    """Wrong answers to different questions that share a notebook give a finding where one of them would alone."""
    second = """
[[wrong]]
name = "n_plus_one"
grade_id = "q2_centre"
why = "adds the mean"
replace = [["x - mean(x)", "x + mean(x)"]]
fails = ["q2_centre_test/centred"]
"""
    answers = TINY.replace(', "q2_centre_test/centred"', "") + second
    for text, finding in ((answers, ""), (answers.replace("x + mean(x)", "x - mean(x) + 0"), "loses no point")):
        found = audited(text, quick=True)
        assert len(found) == bool(finding)
        assert all(finding in one for one in found)


def test_unfair_is_found(audited: Callable[[str], list[str]], course: Course) -> None:
    """A wrong list of checks, a wrong answer that passes, and a right one that fails are each named."""
    assert any("must fail 'q2_centre_test/centred'" in finding for finding in audited(TINY))
    harmless = TINY.replace("total / (len(x) - 1)", "total / len(x) / 1").replace("fails = [", "fails = [] #")
    assert any("loses no point" in finding for finding in audited(harmless))
    broken = TINY.replace("return np.mean(x)", "return np.median(x)")
    found = [finding for finding in audited(broken) if "right answer 'numpy'" in finding]
    assert len(found) == 3  # one and two threads, single precision


def test_tolerance_that_is_too_tight_is_found(course: Course, audited: Callable[[str], list[str]]) -> None:
    """A check that float32 work cannot pass is named as unfair to a right answer."""
    path = course.path("source", "tiny") / "sums.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.id == "q1_mean_test")
    cell.source = cell.source.replace('hint="divide by N"', "rtol=1e-13, atol=1e-13").replace("7) ** 2", "7) ** 2 / 3")
    nbformat.write(notebook, path)
    build(course, "tiny")
    found = audited(TINY)
    assert any("'numpy' (float32, 1 thread) fails 'mean of squares'" in finding for finding in found)
    assert not any("'numpy' (float64" in finding for finding in found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("q1_mean", "q9_mean"), "no solution cell 'q9_mean'"),
        (("total / len(x)", "total / n"), "occurs 0 times"),
        (('why = "divides by N - 1"', ""), "has no why"),
        (("[[wrong]]", "[[wrong]"), "sums.toml"),
    ],
)
def test_malformed_answers(audited: Callable[[str], list[str]], change: tuple[str, str], words: str) -> None:
    """A file of answers that does not fit the notebook is refused, naming the entry."""
    with pytest.raises(CourseError, match=words):
        audited(TINY.replace(*change, 1))


def test_command(course: Course) -> None:
    """The command says which file is missing; with one it prints the report and fails on a finding."""
    missing = CliRunner().invoke(main, ["-C", str(course.root), "audit", "tiny"])
    assert missing.exit_code == 1
    assert "tests/audit/tiny/sums.toml is missing" in missing.stderr.replace("\n", "")
    path = course.root / "tests" / "audit" / "tiny" / "sums.toml"
    path.parent.mkdir(parents=True)
    path.write_text(TINY, "utf-8")
    unfair = CliRunner().invoke(main, ["-C", str(course.root), "audit", "tiny"])
    assert unfair.exit_code == 1
    assert "must fail 'q2_centre_test/centred'" in unfair.stderr
    unknown = CliRunner().invoke(main, ["-C", str(course.root), "audit", "tiny", "sum"])
    assert unknown.exit_code == 1
    assert "no notebook 'sum' in tiny" in unknown.stderr
    shutil.rmtree(course.root / "tests")
