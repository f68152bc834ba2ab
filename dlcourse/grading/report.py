"""What is reported of a graded class: points from the gradebook, causes and checks from the autograded notebooks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import nbformat

from dlcourse.course import Course
from dlcourse.grading.judge import gravest
from dlcourse.grading.steps import verdicts


@dataclass
class Result:
    """The result of one submission, as ``--json`` writes it. ``score`` is None for what waits for manual grading."""

    student: str
    score: float | None
    max_score: float
    cause: str | None
    seconds: float
    repairs: list[str] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)
    skipped: bool = False  # graded before, with the same files and the same key


@dataclass
class ClassResult:
    """The results of a class, and what could not be graded at all, with the reason."""

    assignment: str
    submissions: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def collect(course: Course, assignment: str, student: str) -> Result:
    """Read a graded submission back: points from the gradebook, causes and checks from the autograded notebooks."""
    questions: list[dict[str, Any]] = []
    repairs = [
        f"{name}.ipynb is not part of {assignment} and was left out" for name in _foreign(course, assignment, student)
    ]
    seconds, causes = 0.0, []
    with course.gradebook() as gradebook:
        submission = gradebook.find_submission(assignment, student)
        for notebook in sorted(submission.notebooks, key=lambda n: n.name):
            path = course.path("autograded", assignment, student) / f"{notebook.name}.ipynb"
            about: dict[str, Any] = {"cause": "not_submitted", "message": "no such notebook was handed in"}
            judged: dict[str, dict[str, Any]] = {}
            order: list[str] = []
            if path.is_file():
                autograded = nbformat.read(path, as_version=4)
                about = autograded.metadata.get("dlcourse", {})
                judged = {v["grade_id"]: v for v in verdicts(autograded)}
                order = list(judged)
            repairs += [f"{notebook.name}: {text}" for text in about.get("repairs", [])]
            if about.get("message"):
                repairs.append(f"{notebook.name}: {about['message']}")
            seconds += about.get("seconds", 0.0)
            causes.append(about.get("cause"))
            grades = sorted(notebook.grades, key=lambda g: order.index(g.name) if g.name in order else len(order))
            for one in grades:
                waiting = one.auto_score is None and one.manual_score is None
                verdict = judged.get(one.name, {})
                score = None if waiting else one.score
                cause = (
                    verdict.get("cause") or about.get("cause") if score is not None and score < one.max_score else None
                )
                questions.append(
                    {
                        "notebook": notebook.name,
                        "grade_id": one.name,
                        "score": score,
                        "max_score": one.max_score,
                        "cause": _own_cause(cause, verdict, about),
                        "checks": [
                            {k: check.get(k) for k in ("label", "passed", "weight", "message")}
                            for check in verdict.get("checks", [])
                        ],
                    }
                )
        score, max_score = submission.score, submission.max_score
    causes += [q["cause"] for q in questions]
    return Result(student, score, max_score, gravest(causes), round(seconds, 2), repairs, questions)


def _foreign(course: Course, assignment: str, student: str) -> list[str]:
    """Notebooks that were handed in and that the assignment does not have."""
    handed_in = {path.stem for path in course.path("submitted", assignment, student).glob("*.ipynb")}
    return sorted(handed_in - set(course.notebooks(assignment)))


def _own_cause(cause: str | None, verdict: dict[str, Any], about: dict[str, Any]) -> str | None:
    """A question's cause is its own; an answer in words that was left empty is missing."""
    if cause is None or verdict.get("cause"):
        return cause
    return about["cause"] if about.get("cause") in ("unreadable", "not_submitted") else "missing"


def as_json(result: ClassResult) -> dict[str, Any]:
    """The report that ``--json`` writes."""
    return {
        "assignment": result.assignment,
        "submissions": [
            {key: value for key, value in vars(one).items() if key != "skipped"} for one in result.submissions
        ],
        "failed": result.failed,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
