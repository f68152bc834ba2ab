"""The sample class: graded as its descriptions say, the same by nbgrader's own command, and committed up to date."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from make_sample import ASSIGNMENT, NOTEBOOK, SAMPLE, write_submissions
from nbgrader.converters import GenerateFeedback

from dlcourse.build import build
from dlcourse.course import Course
from dlcourse.grading.grade import grade
from dlcourse.grading.key import AnswerKey
from dlcourse.grading.report import ClassResult, collect
from dlcourse.grading.steps import verdicts
from dlcourse.sample import is_shipped

ROOT = Path(__file__).resolve().parent.parent

NAMES = [sample.name for sample in SAMPLE]


def copy_of_course(target: Path) -> Course:
    """The repository's course without what grading made."""
    for name in ("source", "submitted"):
        shutil.copytree(ROOT / name, target / name)
    shutil.copy(ROOT / "nbgrader_config.py", target)
    return Course(target)


@pytest.fixture(scope="session")
def graded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Course, ClassResult]:
    """A scratch copy of the course, built and graded."""
    course = copy_of_course(tmp_path_factory.mktemp("sample") / "course")
    build(course, ASSIGNMENT)
    return course, grade(course, ASSIGNMENT)


def test_references_are_recorded_bit_for_bit(graded: tuple[Course, ClassResult]) -> None:
    """Building again gives the committed references and the committed release, byte for byte."""
    course, _ = graded
    recorded = AnswerKey.path(course, ASSIGNMENT, NOTEBOOK).read_text("utf-8")
    committed = AnswerKey.path(Course(ROOT), ASSIGNMENT, NOTEBOOK).read_text("utf-8")
    assert recorded == committed, "run `make sample` and look at the difference"
    name = Path("release", ASSIGNMENT, f"{NOTEBOOK}.ipynb")
    assert (course.root / name).read_bytes() == (ROOT / name).read_bytes()


def test_submissions_are_up_to_date(tmp_path: Path) -> None:
    """submitted/ and the manifest are what the script makes from the release."""
    write_submissions(tmp_path, ROOT / "release" / ASSIGNMENT / f"{NOTEBOOK}.ipynb")
    made = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert len(made) == len(SAMPLE) + 2
    for name, content in made.items():
        assert (ROOT / name).read_bytes() == content, f"{name} is stale: run `make sample`"
    for path in (ROOT / "submitted").glob("*/*/*.ipynb"):
        assert is_shipped(path)


def test_only_the_sample_class_is_trusted(tmp_path: Path) -> None:
    """One byte more, or a file beside it, and a submission is no longer the shipped one: it needs the sandbox."""
    path = tmp_path / "full_marks" / f"{NOTEBOOK}.ipynb"
    path.parent.mkdir()
    shutil.copy(ROOT / "submitted" / "full_marks" / ASSIGNMENT / path.name, path)
    assert is_shipped(path)
    (path.parent / "helper.py").write_text("", "utf-8")
    assert not is_shipped(path)
    (path.parent / "helper.py").unlink()
    path.write_bytes(path.read_bytes() + b"\n")
    assert not is_shipped(path)


@pytest.mark.parametrize("sample", SAMPLE, ids=NAMES)
def test_expected_score(graded: tuple[Course, ClassResult], sample) -> None:  # type: ignore[no-untyped-def]
    """Each submission gets the score and the cause that stand beside it."""
    _, result = graded
    one = next(one for one in result.submissions if one.student == sample.name)
    assert (round(one.score or 0, 2), one.max_score, one.cause) == (sample.score, 30, sample.cause)


def test_every_lost_point_has_a_cause(graded: tuple[Course, ClassResult]) -> None:
    """A question below its maximum names a cause, one at its maximum names none."""
    _, result = graded
    for one in result.submissions:
        for question in one.questions:
            lost = question["score"] is not None and question["score"] < question["max_score"]
            assert bool(question["cause"]) == lost, (one.student, question)


def test_stock_autograde_agrees(graded: tuple[Course, ClassResult], tmp_path: Path) -> None:
    """`nbgrader autograde` gives every sample the same score."""
    course, result = graded
    target = tmp_path / "course"
    shutil.copytree(course.root, target, ignore=shutil.ignore_patterns("autograded", "feedback", "gradebook.db", ".*"))
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    for arguments in (["generate_assignment", ASSIGNMENT, "--force"], ["autograde", ASSIGNMENT], ["export"]):
        command = [str(Path(sys.executable).parent / "nbgrader"), *arguments]
        ended = subprocess.run(
            command, cwd=target, capture_output=True, text=True, env={"PATH": path, "HOME": str(tmp_path)}
        )
        assert ended.returncode == 0, ended.stderr[-2000:]
    with (target / "grades.csv").open() as file:
        stock = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert stock == {one.student: one.score for one in result.submissions}


@pytest.mark.parametrize("name", NAMES)
def test_committed_results_are_up_to_date(graded: tuple[Course, ClassResult], name: str) -> None:
    """autograded/, feedback/ and gradebook.db hold what grading gives now."""
    course, _ = graded
    stale = "is stale: run `make sample`"
    for step in ("autograded", "feedback"):
        assert (ROOT / step / name / ASSIGNMENT).is_dir(), f"{step}/{name} {stale}"
    stored, fresh = (
        nbformat.read(root / "autograded" / name / ASSIGNMENT / f"{NOTEBOOK}.ipynb", as_version=4)
        for root in (ROOT, course.root)
    )
    assert [cell.source for cell in stored.cells] == [cell.source for cell in fresh.cells], stale
    assert _without_distance(verdicts(stored)) == _without_distance(verdicts(fresh)), stale
    was, now = collect(Course(ROOT), ASSIGNMENT, name), collect(course, ASSIGNMENT, name)
    assert (was.score, was.cause, was.repairs, was.questions) == (now.score, now.cause, now.repairs, now.questions), (
        stale
    )


def test_committed_feedback_is_up_to_date(tmp_path: Path) -> None:
    """The feedback pages are what the committed results give now, byte for byte."""
    for name in ("autograded", "source", "submitted"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("nbgrader_config.py", "gradebook.db"):
        shutil.copy(ROOT / name, tmp_path)
    course = Course(tmp_path)
    for name in NAMES:
        course.converter(GenerateFeedback, ASSIGNMENT, name).start()
        page = Path("feedback", name, ASSIGNMENT, f"{NOTEBOOK}.html")
        assert (tmp_path / page).read_bytes() == (ROOT / page).read_bytes(), f"{page} is stale: run `make sample`"


def _without_distance(judged: list[dict]) -> list[dict]:
    return json.loads(json.dumps(judged), object_hook=lambda d: {k: v for k, v in d.items() if k != "distance"})


def test_gradebook_is_whole() -> None:
    """The committed gradebook passes SQLite's own check and holds the sample class alone."""
    with sqlite3.connect(f"file:{ROOT / 'gradebook.db'}?mode=ro", uri=True) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        students = {row[0] for row in database.execute("select id from student")}
    database.close()
    assert students == set(NAMES)
