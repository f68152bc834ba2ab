"""The grades of an assignment as nbgrader's gradebook holds them, with late penalties and what waits for a grader."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from nbgrader.api import Gradebook, MissingEntry, SubmittedAssignment

from dlcourse.course import suggest
from dlcourse.errors import CourseError


@dataclass(frozen=True)
class Question:
    """One graded cell. ``score`` is None while it waits for grading by hand."""

    notebook: str
    grade_id: str
    score: float | None
    max_score: float
    auto_score: float | None = None
    manual_score: float | None = None
    extra_credit: float | None = None


@dataclass(frozen=True)
class Grade:
    """What one student has got.

    Attributes:
        student: the id in nbgrader's gradebook.
        score: points after the late penalty, at least 0; None where nothing was handed in.
        raw_score: points before the penalty.
        late_seconds: how long after the due date it was handed in.
        waiting: points of questions that wait for grading by hand; they count as 0 in ``score``.
    """

    student: str
    last_name: str = ""
    first_name: str = ""
    email: str = ""
    lms_user_id: str = ""
    score: float | None = None
    raw_score: float = 0.0
    late_penalty: float = 0.0
    late_seconds: float = 0.0
    max_score: float = 0.0
    timestamp: datetime | None = None
    waiting: float = 0.0
    questions: tuple[Question, ...] = field(default=())


def read_grades(gradebook: Gradebook, assignment: str, *, unfinished: bool = False) -> list[Grade]:
    """The grade of every student in the gradebook, in the order of their ids.

    Args:
        unfinished: take grades too in which answers still wait for grading by hand.

    Raises:
        CourseError: the assignment is not in the gradebook, nobody was graded, or answers wait for grading by hand.
    """
    try:
        found = gradebook.find_assignment(assignment)
    except MissingEntry:
        known = suggest(assignment, [one.name for one in gradebook.assignments])
        raise CourseError(f"There is no assignment {assignment!r} in the gradebook. {known}") from None
    submissions = {one.student_id: one for one in found.submissions}
    if not submissions:
        raise CourseError(f"Nobody has been graded in {assignment}. Run `course grade {assignment}`.")
    grades = []
    for student in sorted(gradebook.students, key=lambda s: str(s.id)):
        nothing = Grade(
            str(student.id),
            student.last_name or "",
            student.first_name or "",
            student.email or "",
            str(student.lms_user_id or ""),
            max_score=float(found.max_score),
        )
        submission = submissions.get(student.id)
        grades.append(nothing if submission is None else _graded(nothing, submission))
    waiting = [one for one in grades if one.waiting]
    if waiting and not unfinished:
        names = ", ".join(one.student for one in waiting[:5]) + (" …" if len(waiting) > 5 else "")
        raise CourseError(
            f"{len(waiting)} submissions to {assignment} have answers that wait for grading by hand ({names}). "
            "Grade them with `nbgrader formgrade`, or export with --anyway: they then count as 0 points."
        )
    return grades


def _graded(nothing: Grade, submission: SubmittedAssignment) -> Grade:
    questions = tuple(
        Question(
            notebook.name,
            one.name,
            None if _waits(one) else float(one.score),
            float(one.max_score),
            one.auto_score,
            one.manual_score,
            one.extra_credit,
        )
        for notebook in sorted(submission.notebooks, key=lambda n: str(n.name))
        for one in notebook.grades
    )
    raw, penalty = float(submission.score), float(submission.late_submission_penalty or 0)
    return replace(
        nothing,
        score=max(0.0, raw - penalty),
        raw_score=raw,
        late_penalty=penalty,
        late_seconds=float(submission.total_seconds_late),
        max_score=float(submission.max_score),
        timestamp=submission.timestamp,
        waiting=sum(q.max_score for q in questions if q.score is None),
        questions=questions,
    )


def _waits(grade) -> bool:  # type: ignore[no-untyped-def]  # a row of nbgrader's, which is not typed
    return bool(grade.needs_manual_grade) or (grade.auto_score is None and grade.manual_score is None)


def two_decimals(value: float) -> str:
    """A number of points with two decimals, halves rounded up as people do: 2.675 → "2.68"."""
    return str(Decimal(repr(float(value))).quantize(Decimal("0.01"), ROUND_HALF_UP))


def lateness(seconds: float) -> str:
    """A time span as Gradescope writes it: hours:minutes:seconds."""
    whole = round(seconds)
    return f"{whole // 3600:02d}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
