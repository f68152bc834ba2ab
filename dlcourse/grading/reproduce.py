"""Run one submission again, as it was graded, and keep everything that helps to understand it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from dlcourse.course import Course
from dlcourse.grading.dispatch import Dispatcher
from dlcourse.grading.grade import find_class
from dlcourse.grading.kernel import Kernel
from dlcourse.grading.key import AnswerKey
from dlcourse.grading.report import collect
from dlcourse.grading.steps import verdicts


@dataclass(frozen=True)
class Reproduced:
    """One graded cell: its points as they stand in the gradebook, None when it was not graded, and of this run."""

    notebook: str
    grade_id: str
    recorded: float | None
    score: float
    max_score: float
    cause: str | None


def reproduce(
    course: Course,
    assignment: str,
    student: str,
    *,
    sandboxed: str | None = None,
    keep_open: Callable[[Path], None] = lambda connection: None,
) -> tuple[Path, list[Reproduced]]:
    """Grade one student's notebooks again without recording anything.

    What is kept, in ``debug/ASSIGNMENT/STUDENT/``: the executed notebook with the verdicts in its metadata, a log with
    a line for each cell and statement, the verdicts as JSON.

    Args:
        sandboxed: ``auto``, ``bubblewrap`` or ``none``; None takes the configuration's.
        keep_open: called with Jupyter's connection file of each kernel, which ends when it returns.

    Returns:
        The folder, and the points of every graded cell.

    Raises:
        CourseError: an unknown assignment or student, nothing built, no sandbox.
    """
    notebooks = course.notebooks(assignment)
    find_class(course, assignment, student)
    if sandboxed:
        course.config.Run.sandbox = sandboxed
    keys = {name: AnswerKey.load(course, assignment, name) for name in notebooks}
    dispatcher = Dispatcher(course, assignment, keys)
    folder = course.root / "debug" / assignment / student
    folder.mkdir(parents=True, exist_ok=True)
    recorded = _recorded(course, assignment, student)
    found = []
    for name in dispatcher.handed_in(student):

        def finished(kernel: Kernel, path: Path = folder / f"{name}.kernel.json") -> None:
            path.touch(mode=0o600)
            path.write_text(json.dumps(kernel.connection), "utf-8")
            keep_open(path)
            path.unlink()

        notebook, ran = dispatcher.job(student, name).trace(finished)
        nbformat.write(notebook, folder / f"{name}.ipynb")
        (folder / f"{name}.log").write_text("\n".join(ran.log) + "\n", "utf-8")
        judged = [one for one in verdicts(notebook) if "score" in one]
        (folder / f"{name}.json").write_text(json.dumps(judged, indent=1) + "\n", "utf-8")
        found += [_reproduced(name, one, recorded) for one in judged]
    return folder, found


def _reproduced(notebook: str, verdict: dict[str, Any], recorded: dict[tuple[str, str], float]) -> Reproduced:
    grade_id = verdict["grade_id"]
    before = recorded.get((notebook, grade_id))
    return Reproduced(notebook, grade_id, before, verdict["score"], verdict["max_score"], verdict["cause"])


def _recorded(course: Course, assignment: str, student: str) -> dict[tuple[str, str], float]:
    if not course.path("autograded", assignment, student).is_dir():
        return {}
    return {(q["notebook"], q["grade_id"]): q["score"] for q in collect(course, assignment, student).questions}
