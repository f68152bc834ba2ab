"""``course export``: grades go back to Canvas and Gradescope in their own files, and nothing else changes there."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlcourse.cli import main
from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.lms.grades import read_grades, two_decimals
from dlcourse.lms.sheet import disarmed, read_sheet

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "tests" / "files" / "lms"


@pytest.fixture
def graded(course: Course) -> Course:
    """The tiny course with grades as the grader and a person leave them: mean of 3, centre of 2, words of 1 point."""
    scores = {
        "full": (3, 2, 1),
        "wrong": (1.005, 2, 0),
        "late": (3, 2, 1),
        "same": (2, 0, 0),
        "excused": (3, 2, 1),
        "other": (3, 2, 1),
        "only_here": (3, 0, 0),
    }
    with course.gradebook() as gradebook:
        assignment = gradebook.find_assignment("tiny")
        assignment.duedate = datetime(2026, 10, 1, 12)
        for student, points in scores.items():
            gradebook.update_or_create_student(student)
            late = student == "late"
            submission = gradebook.update_or_create_submission(
                "tiny", student, timestamp=datetime(2026, 10, 1, 11 + late * 3)
            )
            (notebook,) = submission.notebooks
            for grade, score in zip(sorted(notebook.grades, key=lambda g: g.name), points, strict=True):
                grade.manual_score = score if grade.name == "q3_words" else None
                grade.auto_score, grade.needs_manual_grade = score if grade.name != "q3_words" else None, False
            notebook.late_submission_penalty = 1.5 if late else None
        gradebook.add_student("nothing")
        gradebook.db.commit()
    return course


def wait_for_a_grader(course: Course, student: str) -> None:
    """Take the points for the answer in words away again."""
    with course.gradebook() as gradebook:
        grade = gradebook.find_grade("q3_words", "sums", "tiny", student)
        grade.manual_score, grade.needs_manual_grade = None, True
        gradebook.db.commit()


def export(course: Course, *arguments: object, answer: str | None = None) -> Result:
    """Run ``course export`` in the course directory."""
    return CliRunner().invoke(main, ["-C", str(course.root), "export", *map(str, arguments)], input=answer)


def rows(path: Path, delimiter: str = ",") -> list[list[str]]:
    """A written CSV file as Canvas reads it."""
    return list(csv.reader(io.StringIO(path.read_text("utf-8-sig")), delimiter=delimiter))


def test_canvas_gets_one_column_and_keeps_the_rest(graded: Course, tmp_path: Path) -> None:
    """Ids, order, titles, other columns and totals come back as they were; late, excused and absent rows are right."""
    out = tmp_path / "out.csv"
    ended = export(graded, "canvas", "tiny", FILES / "canvas.csv", "-o", out, "--yes")
    assert ended.exit_code == 0, ended.output
    before, after = rows(FILES / "canvas.csv"), rows(out)
    place = before[0].index("tiny (20112)")
    got = {row[3]: row[place] for row in after[3:]}
    assert got == {
        "full": "6.00",
        "WRONG": "3.01",  # 1.005 + 2, halves up
        "late": "4.50",
        "same": "2.00",
        "excused": "EX",
        "other": "N/A",
        "nothing": "3.00",
        "stranger": "",
        "0f5c1a7e9b": "",
    }
    for row in before + after:
        del row[place]
    before[6][0] = "'=cmd|' /C calc'!A0"  # the only other change: a name that is a formula
    assert before == after
    assert '"6.00"' in out.read_text("utf-8")


def test_canvas_says_what_would_change(graded: Course, tmp_path: Path) -> None:
    """The difference is shown before anything is written; people on one side only and kept cells are named."""
    out = tmp_path / "out.csv"
    ended = export(graded, "canvas", "tiny", FILES / "canvas.csv", "-o", out, "--dry-run")
    assert ended.exit_code == 0, ended.output
    assert not out.exists()
    words = " ".join(ended.output.split())
    assert "3 grades to change, 1 of them downwards; 1 already in Canvas" in words
    assert "late 02:00:00, −1.5" in words
    assert "In Canvas only (1): Stranger, Learner" in words
    assert "In the gradebook only, not exported (1): only_here" in words
    assert "excused in Canvas (1): excused" in words
    assert "not assigned to this student in Canvas (1): other" in words
    assert "nothing handed in (1): nothing" in words
    refused = export(graded, "canvas", "tiny", FILES / "canvas.csv", "-o", out, answer="n\n")
    assert (refused.exit_code, out.exists()) == (0, False)
    assert export(graded, "canvas", "tiny", FILES / "canvas.csv", "-o", out, answer="y\n").exit_code == 0
    again = export(graded, "canvas", "tiny", out, "-o", tmp_path / "again.csv", "--yes")
    assert "Canvas has all of it already" in again.output


def test_canvas_of_another_locale(graded: Course, tmp_path: Path) -> None:
    """Semicolons, decimal commas, byte order mark, line ends and split names stay; points are converted when asked."""
    out = tmp_path / "out.csv"
    command = ["canvas", "tiny", FILES / "canvas_comma.csv", "-o", out, "--yes", "--roster"]
    roster = tmp_path / "roster.csv"
    roster.write_text("student_id;SIS Login ID\nfull;full@school.example\nwrong;WRONG@school.example\n")
    ended = export(graded, *command, roster)
    assert ended.exit_code == 1
    assert "12 points in Canvas and 6 in the gradebook" in ended.output
    assert export(graded, *command, roster, "--scale").exit_code == 0
    raw = out.read_bytes().decode("utf-8")
    assert raw.startswith("\ufeff") and raw.count("\r\n") == 4
    after = rows(out, ";")
    assert [row[5] for row in after[2:]] == ["12,00", "6,01"]
    assert [row[:5] for row in after] == [row[:5] for row in rows(FILES / "canvas_comma.csv", ";")]


def test_canvas_refuses_what_would_make_something_new(graded: Course, tmp_path: Path) -> None:
    """No new assignment by accident, no wrong file or column, no unfinished grades: the message says what to do."""
    out = tmp_path / "out.csv"
    source = FILES / "canvas.csv"
    wrong = tmp_path / "wrong.csv"
    wrong.write_bytes("Student,ID\nÉ\n".encode("utf-16"))
    roster = tmp_path / "twice.csv"
    roster.write_text("student_id,ID\nfull,9001\nwrong,9001\n")
    twice = tmp_path / "two.csv"
    twice.write_text(source.read_text().replace(",late,", ",full,"))
    for arguments, said in {
        ("canvas", "tiny", source, "--column", "Tiny"): "",
        ("canvas", "tiny", source, "--column", "Tiny 2"): "There are: Quiz 1 (20111), tiny (20112), Tiny II (20113)",
        ("canvas", "tiny", source, "--column", "Current Score"): "none is made",
        ("canvas", "tiny", source, "--match", "Email"): "no column 'Email'",
        ("canvas", "tiny", FILES / "gradescope.csv"): "not a gradebook exported from Canvas",
        ("canvas", "tiny", wrong): "not UTF-8",
        ("canvas", "tiny", source, "--roster", roster): "'9001' stands twice",
        ("canvas", "tiny", twice): "'full' stands in two rows",
        ("canvas", "tiny", tmp_path / "absent.csv"): "cannot be read: No such file",
        ("canvas", "tinny", source): "Did you mean 'tiny'?",
        ("canvas", "tiny", source, "--excuse", "ful"): "Did you mean 'full'?",
        ("canvas", "tiny", source, "-o", source): "is the file that Canvas exported",
    }.items():
        ended = export(graded, *arguments, *([] if "-o" in arguments else ["-o", out]), "--yes")
        assert (ended.exit_code == 0) == (said == ""), ended.output
        assert said in ended.output.replace("\n", ""), ended.output
        assert "Traceback" not in ended.output
    out.unlink()
    wait_for_a_grader(graded, "full")
    ended = export(graded, "canvas", "tiny", source, "-o", out, "--yes")
    assert (ended.exit_code, out.exists()) == (1, False)
    assert "wait for grading by hand (full)" in ended.output
    assert (
        export(graded, "canvas", "tiny", source, "-o", out, "--yes", "--anyway", "--only", "--excuse", "late").exit_code
        == 0
    )
    header, *after = rows(out)
    assert header == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "tiny (20112)"]
    assert {row[3]: row[5] for row in after if row[3] in ("full", "late")} == {"full": "5.00", "late": "EX"}


def test_gradescope_rows_stay_and_are_filled(graded: Course, tmp_path: Path) -> None:
    """Gradescope's own file comes back with its rows, order and ids, with totals, status and question points."""
    out = tmp_path / "out.csv"
    command = ["gradescope", "tiny", FILES / "gradescope.csv", "-o", out, "--roster", FILES / "roster.csv"]
    wait_for_a_grader(graded, "full")
    assert "wait for grading by hand" in export(graded, *command).output
    ended = export(graded, *command, "--anyway")
    assert ended.exit_code == 0, ended.output
    assert "In Gradescope only (1): stranger@school.example" in ended.output
    header, wrong, full, stranger = rows(out)
    before = rows(FILES / "gradescope.csv")
    assert header == [*before[0], "2: Centred values (2.0 pts)", "3: In words (1.0 pts)"]
    assert stranger[: len(before[3])] == before[3]
    for row, old in ((wrong, before[1]), (full, before[2])):
        assert (row[:5], row[8], row[11:13]) == (old[:5], old[8], old[11:13])
    named = dict(zip(header, full, strict=True))
    assert (named["Total Score"], named["Max Points"], named["Status"]) == ("5.00", "6.00", "Ungraded")
    assert (named["1: The mean (3.0 pts)"], named["3: In words (1.0 pts)"]) == ("3.00", "")
    assert dict(zip(header, wrong, strict=True))["Status"] == "Graded"
    assert export(graded, "gradescope", "tiny", "-o", out, "--anyway").exit_code == 0
    table = {row[2]: row for row in rows(out)}
    assert table["late"][4:9] == ["4.50", "6.00", "Graded", "2026-10-01 14:00:00 +0000", "02:00:00"]
    assert table["nothing"][4:7] == ["", "6.00", "Missing"]


def test_questions_of_the_sample_class(tmp_path: Path) -> None:
    """One row a question with points, cause and failed checks; sums agree with the gradebook."""
    for name in ("gradebook.db", "nbgrader_config.py"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("source", "release", "submitted", "autograded"):
        (tmp_path / name).symlink_to(ROOT / name)
    out = tmp_path / "out.csv"
    ended = export(Course(tmp_path), "csv", "-o", out, "--anyway")
    assert ended.exit_code == 0, ended.output
    with out.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 10 * 9
    with Course(tmp_path).gradebook() as gradebook:
        totals = {one.student: one.score for one in read_grades(gradebook, "ps6_rnn", unfinished=True)}
    for student, total in totals.items():
        points = [float(row["score"] or 0) for row in table if row["student_id"] == student]
        assert abs(sum(points) - (total or 0)) < 0.05
    row = next(r for r in table if (r["student_id"], r["grade_id"]) == ("typical_mistakes", "q1_softmax_test"))
    assert (row["question"], row["cause"], row["score"]) == ("Question 1: Softmax and sigmoid", "wrong", "0.00")
    assert "column 0" in row["failed_checks"]
    waiting = next(r for r in table if (r["student_id"], r["grade_id"]) == ("full_marks", "q7_interpretation"))
    assert (waiting["score"], waiting["max_score"]) == ("", "2.00")


def nbgrader_export(course: Course, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "nbgrader"), "export", *map(str, arguments)]
    return subprocess.run(command, cwd=course.root, capture_output=True, text=True, check=False)


def test_nbgrader_finds_the_exporters(graded: Course, tmp_path: Path) -> None:
    """`nbgrader export --exporter …` writes the same files as the commands; a mistake ends it without a traceback."""
    ours, theirs = tmp_path / "ours.csv", tmp_path / "theirs.csv"
    export(graded, "canvas", "tiny", FILES / "canvas.csv", "-o", ours, "--yes")
    command = [
        "--exporter=dlcourse.lms.CanvasExporter",
        f"--CanvasExporter.source={FILES / 'canvas.csv'}",
        "--to",
        theirs,
    ]
    ended = nbgrader_export(graded, *command)
    assert ended.returncode == 0, ended.stderr
    assert "tiny: only in Canvas: Stranger, Learner" in ended.stderr
    assert ours.read_bytes() == theirs.read_bytes()
    wait_for_a_grader(graded, "full")
    ended = nbgrader_export(graded, "--exporter=dlcourse.lms.GradescopeExporter", "--to", theirs)
    assert ended.returncode == 1
    assert "wait for grading by hand" in ended.stderr
    assert "export with --GradescopeExporter.unfinished=True" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_numbers_and_formulas() -> None:
    """Halves are rounded up, numbers stay numbers, everything that a spreadsheet would run becomes text."""
    assert [two_decimals(value) for value in (0, 2.675, 15.653070120812057, 1e-9)] == ["0.00", "2.68", "15.65", "0.00"]
    assert [disarmed(text) for text in ("-1.5", "+3", "plain", "a=b", "3,5")] == ["-1.5", "'+3", "plain", "a=b", "3,5"]
    for text in ('=HYPERLINK("x")', "+1+cmd", "@SUM(A1)", "-2+3", " =1", "\t=1", "\r=1"):
        assert disarmed(text) == f"'{text}"


def test_what_is_no_table(tmp_path: Path) -> None:
    """Empty, ragged and broken files are refused by name."""
    path = tmp_path / "table.csv"
    for text, said in (("", "is empty"), ('"a,b\nc', "not a CSV file"), ("a,b\n1,2,3\n", "row 2 has more cells")):
        path.write_text(text)
        with pytest.raises(CourseError, match=said):
            read_sheet(path)
