"""``course grade``: scores, causes, resumption, regrades, and nbgrader's own commands on the same directory."""

from __future__ import annotations

import csv
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result

from dlcourse.cli import main
from dlcourse.course import Course
from dlcourse.grading import sandbox
from dlcourse.grading.grade import grade
from dlcourse.grading.report import ClassResult, as_json

HandIn = Callable[..., Path]
WRONG = "def mean(x):\n    return x.sum() / (len(x) - 1)"
IN_PLACE = "def mean(x):\n    x /= len(x)\n    return x.sum()"
STALE = "def mean(y):\n    return x.sum() / len(x)"


def scores(result: ClassResult) -> dict[str, tuple[float | None, str | None]]:
    """Score and cause by student."""
    return {one.student: (one.score, one.cause) for one in result.submissions}


def nbgrader(course: Course, *arguments: str) -> str:
    """Run one of nbgrader's own commands in the course directory."""
    command = [str(Path(sys.executable).parent / "nbgrader"), *arguments]
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(course.root)}
    ended = subprocess.run(command, cwd=course.root, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def command(course: Course, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["-C", str(course.root), *arguments])


def test_scores_and_causes(course: Course, hand_in: HandIn) -> None:
    """Each kind of answer gets its points and its cause; an early mistake costs nothing later."""
    hand_in("full")
    hand_in("wrong", q1_mean=WRONG)
    hand_in("in_place", q1_mean=IN_PLACE)
    hand_in("stale", q1_mean=STALE)
    hand_in("blank", q1_mean=None, q2_centre=None, q3_words=None)
    (course.root / "submitted" / "nothing" / "tiny").mkdir(parents=True)
    result = grade(course, "tiny")
    assert result.failed == {}
    assert scores(result) == {
        "full": (5, None),
        "wrong": (2, "wrong"),
        "in_place": (4, "wrong"),
        "stale": (2, "error"),
        "blank": (0, "error"),
        "nothing": (0, "not_submitted"),
    }


def test_report(course: Course, hand_in: HandIn) -> None:
    """The report accounts for every question and check; what waits for manual grading has the score null."""
    hand_in("wrong", q1_mean=WRONG)
    report = json.loads(json.dumps(as_json(grade(course, "tiny"))))
    assert report["assignment"] == "tiny"
    (one,) = report["submissions"]
    assert set(one) == {"student", "score", "max_score", "cause", "seconds", "repairs", "questions"}
    assert (one["student"], one["score"], one["max_score"], one["cause"]) == ("wrong", 2, 6, "wrong")
    first, second, words = one["questions"]
    assert set(first) == {"notebook", "grade_id", "score", "max_score", "cause", "checks"}
    assert (first["grade_id"], first["score"], first["cause"]) == ("q1_mean_test", 0, "wrong")
    assert (second["grade_id"], second["score"], second["cause"]) == ("q2_centre_test", 2, None)
    assert (words["grade_id"], words["score"], words["max_score"], words["cause"]) == ("q3_words", None, 1, None)
    checks = {check["label"]: check for check in first["checks"]}
    assert set(checks["mean of squares"]) == {"label", "passed", "weight", "message"}
    assert [checks[c]["passed"] for c in ("mean of three", "mean of squares", "input unchanged")] == [
        False,
        False,
        True,
    ]
    assert "far outside the tolerance" in checks["mean of squares"]["message"]


def test_stock_commands_agree(course: Course, hand_in: HandIn) -> None:
    """`nbgrader autograde`, `generate_feedback` and `export` take the same way and give the same grades."""
    hand_in("full")
    hand_in("wrong", q1_mean=WRONG)
    hand_in("blank", q1_mean=None, q2_centre=None, q3_words=None)
    broken = course.root / "submitted" / "broken" / "tiny" / "sums.ipynb"
    broken.parent.mkdir(parents=True)
    broken.write_text("{nope", "utf-8")
    ours = scores(grade(course, "tiny"))
    for made in ("autograded", "feedback"):
        shutil.rmtree(course.root / made)
    nbgrader(course, "autograde", "tiny")
    nbgrader(course, "generate_feedback", "tiny")
    nbgrader(course, "export")
    with (course.root / "grades.csv").open() as file:
        stock = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert stock == {student: score for student, (score, _) in ours.items()}
    for student in ours:
        assert (course.root / "feedback" / student / "tiny" / "sums.html").is_file()
        stored = nbformat.read(course.root / "autograded" / student / "tiny" / "sums.ipynb", as_version=4)
        assert stored.metadata.dlcourse.cause == ours[student][1]


def test_goes_on_where_it_stopped(course: Course, hand_in: HandIn) -> None:
    """What is up to date is kept; a changed submission and a forced run are graded again."""
    hand_in("one")
    hand_in("two", q1_mean=WRONG)
    assert [one.skipped for one in grade(course, "tiny").submissions] == [False, False]
    assert [one.skipped for one in grade(course, "tiny").submissions] == [True, True]
    hand_in("two")
    again = grade(course, "tiny")
    assert [one.skipped for one in again.submissions] == [True, False]
    assert scores(again)["two"] == (5, None)
    assert [one.skipped for one in grade(course, "tiny", force=True).submissions] == [False, False]


def test_regrade_starts_from_zero_and_keeps_manual_grades(course: Course, hand_in: HandIn) -> None:
    """A worse second hand-in loses the old points; a grade given by hand stays and asks for another look."""
    hand_in("ada")
    grade(course, "tiny")
    with course.gradebook() as gradebook:
        one = gradebook.find_grade("q3_words", "sums", "tiny", "ada")
        one.manual_score, one.needs_manual_grade = 0.5, False
        gradebook.db.commit()
    assert grade(course, "tiny").submissions[0].score == 5.5
    hand_in("ada", q1_mean=None)
    result = grade(course, "tiny")
    assert scores(result) == {"ada": (2.5, "error")}
    with course.gradebook() as gradebook:
        one = gradebook.find_grade("q3_words", "sums", "tiny", "ada")
        assert (one.manual_score, one.needs_manual_grade) == (0.5, True)


def test_one_student(course: Course, hand_in: HandIn) -> None:
    """`--student` grades that student and no other."""
    hand_in("one")
    hand_in("two")
    assert [one.student for one in grade(course, "tiny", student="two").submissions] == ["two"]
    assert not (course.root / "autograded" / "one").exists()


def test_command(course: Course, hand_in: HandIn, tmp_path: Path) -> None:
    """The command prints the table, writes the report, exits with 0 although points were lost."""
    hand_in("full")
    hand_in("wrong", q1_mean=WRONG)
    ended = command(course, "grade", "tiny", "--json", str(tmp_path / "report.json"))
    assert ended.exit_code == 0, ended.output
    assert "wrong" in ended.stdout
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert {one["student"]: one["score"] for one in report["submissions"]} == {"full": 5, "wrong": 2}


def test_refuses_without_sandbox(course: Course, hand_in: HandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without bubblewrap nothing of a class runs; the message says how to install it."""
    hand_in("full")
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    ended = command(course, "grade", "tiny")
    assert ended.exit_code == 1
    assert "apt-get install bubblewrap" in ended.stderr
    assert "Traceback" not in ended.output
    assert not (course.root / "autograded" / "full").exists()
    unprotected = command(course, "grade", "tiny", "--sandbox", "none")
    assert unprotected.exit_code == 0, unprotected.output
    assert "without a sandbox" in unprotected.stderr


def test_sandboxed_kernel_sees_nothing_of_the_course(course: Course, hand_in: HandIn) -> None:
    """Student code inside the sandbox finds neither the course, nor the home, nor a network, nor other processes."""
    base = Path(sys.base_prefix)  # this Python may itself lie in a home; nothing else of it is seen
    own = base.relative_to(Path.home()).parts[0] if base.is_relative_to(Path.home()) else None
    probe = f"""
import os, socket
def mean(x):
    home = {str(Path.home())!r}
    seen = [name for name in (os.listdir(home) if os.path.exists(home) else []) if name != {own!r}]
    course = {str(course.root.parent)!r}
    seen += os.listdir(course) if os.path.exists(course) else []
    seen += [number for number in os.listdir("/proc") if number.isdigit() and int(number) > 50]
    try:
        socket.create_connection(("127.0.0.1", {{port}}), timeout=2)
        seen.append("network")
    except OSError:
        pass
    print("SEEN", seen)
"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hand_in("probe", q1_mean=probe.replace("{port}", str(listener.getsockname()[1])))
        grade(course, "tiny", sandboxed="bubblewrap")
    stored = nbformat.read(course.root / "autograded" / "probe" / "tiny" / "sums.ipynb", as_version=4)
    said = "".join(o.get("text", "") for cell in stored.cells for o in cell.get("outputs", []))
    assert "SEEN []" in said, said
