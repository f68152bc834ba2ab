"""One row a question, for analysis in any spreadsheet or statistics program."""

from __future__ import annotations

from nbgrader.api import Gradebook

from dlcourse.course import Course
from dlcourse.grading.report import collect
from dlcourse.lms.grades import read_grades, two_decimals
from dlcourse.lms.headings import headings
from dlcourse.lms.sheet import Sheet, disarmed

COLUMNS = (
    "assignment", "student_id", "last_name", "first_name", "email", "notebook", "question", "grade_id", "score",
    "max_score", "auto_score", "manual_score", "extra_credit", "cause", "checks_passed", "checks", "failed_checks",
    "submission_score", "late_penalty", "late_seconds", "timestamp", "seconds",
)  # fmt: skip


def question_sheet(
    course: Course,
    gradebook: Gradebook,
    assignments: list[str],
    *,
    unfinished: bool = False,
    students: tuple[str, ...] = (),
) -> Sheet:
    """Every graded cell of every submission, scores with two decimals; an open one has an empty score.

    Args:
        unfinished: export although answers wait for grading by hand.
        students: only these; all without any.

    Raises:
        CourseError: an assignment was not graded.
    """
    rows: list[list[str]] = [list(COLUMNS)]
    for assignment in assignments:
        titles = headings(course, assignment)
        for grade in read_grades(gradebook, assignment, unfinished=unfinished):
            if grade.score is None or (students and grade.student not in students):
                continue
            result = collect(course, assignment, grade.student)
            judged = {(one["notebook"], one["grade_id"]): one for one in result.questions}
            for question in grade.questions:
                one = judged[question.notebook, question.grade_id]
                checks = one["checks"]
                rows.append([
                    assignment, grade.student, grade.last_name, grade.first_name, grade.email, question.notebook,
                    titles.get((question.notebook, question.grade_id), ""), question.grade_id,
                    _points(question.score), _points(question.max_score), _points(question.auto_score),
                    _points(question.manual_score), _points(question.extra_credit), one["cause"] or "",
                    str(sum(c["passed"] for c in checks)), str(len(checks)),
                    " | ".join(c["label"] for c in checks if not c["passed"]),
                    _points(grade.score), _points(grade.late_penalty), f"{grade.late_seconds:g}",
                    grade.timestamp.isoformat() if grade.timestamp else "", f"{result.seconds:g}",
                ])  # fmt: skip
    return Sheet([rows[0], *([disarmed(cell) for cell in row] for row in rows[1:])])


def graded_assignments(gradebook: Gradebook) -> list[str]:
    """The assignments that somebody was graded in."""
    return sorted(one.name for one in gradebook.assignments if one.submissions)


def _points(value: float | None) -> str:
    return "" if value is None else two_decimals(value)
