"""``course grade``: a whole class, in parallel, and on from where an earlier run stopped."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import filelock
import nbformat
from nbgrader.api import MissingEntry
from sqlalchemy.exc import DatabaseError

from dlcourse.course import MENDED, Course, suggest
from dlcourse.errors import CourseError
from dlcourse.grading.dispatch import Dispatcher
from dlcourse.grading.key import AnswerKey
from dlcourse.grading.reading import MAX_DEPTH, is_deep
from dlcourse.grading.report import ClassResult, Result, collect
from dlcourse.grading.workers import Pool, Workers

Say = Callable[[Result | None, int, int], None]


def grade(
    course: Course,
    assignment: str,
    *,
    student: str | None = None,
    force: bool = False,
    sandboxed: str | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    say: Say = lambda result, done, total: None,
) -> ClassResult:
    """Grade every submission of an assignment, or one student's.

    Args:
        student: only this one.
        force: grade again what is up to date; each score starts from zero.
        sandboxed: ``auto``, ``bubblewrap`` or ``none``; None takes the configuration's.
        workers: processes of this machine.
        scheduler: address of a Dask cluster that runs the notebooks; the gradebook is written here.
        say: called after each submission with its result, how many are done and how many there are.

    Raises:
        CourseError: nothing can be graded: an unknown assignment or student, no release, no sandbox, no cluster,
            another run.
    """
    notebooks = course.notebooks(assignment)
    keys = {name: AnswerKey.load(course, assignment, name) for name in notebooks}
    students, odd = find_class(course, assignment, student)
    if sandboxed:
        course.config.Run.sandbox = sandboxed
    with _alone(course):
        _ready(course, assignment, notebooks)
        result = ClassResult(assignment, failed=odd)
        waiting = []
        dispatcher = Dispatcher(course, assignment, keys)

        def count(one: Result | None) -> None:
            say(one, len(result.submissions) + len(result.failed) - len(odd), len(students))

        for name in students:
            if force or not dispatcher.up_to_date(name):
                waiting.append(name)
                continue
            one = collect(course, assignment, name)
            one.skipped = True
            result.submissions.append(one)
            count(one)
        if waiting:
            dispatcher.check_walls(waiting)
            with Workers(min(workers, len(waiting))) as local, _pool(local, scheduler) as pool:
                dispatcher.take(waiting, local, pool, result, count, force=force)
    result.submissions.sort(key=lambda one: one.student)
    return result


@contextmanager
def _pool(local: Workers, scheduler: str | None) -> Iterator[Pool]:
    if scheduler is None:
        yield local
        return
    from dlcourse.grading.cluster import Cluster

    with Cluster(scheduler) as cluster:
        yield cluster


_ODD_NAME = "the folder's name cannot be a student's: use letters, digits and _.@+- only"
_LINK = "the folder is a link, and links are not followed: put the files themselves in its place"

_DEEP = f"its folders lie in one another more than {MAX_DEPTH} deep: take out what does not belong to the submission"


def find_class(course: Course, assignment: str, student: str | None) -> tuple[list[str], dict[str, str]]:
    """The students to grade, and the folders that cannot be graded, with the reason."""
    students, named = course.students(assignment)
    odd = dict.fromkeys(named, _ODD_NAME)
    for name in list(students):
        folder = course.path("submitted", assignment, name)
        if folder.is_symlink() or folder.parent.is_symlink():
            students.remove(name)
            odd[name] = _LINK
        elif is_deep(folder):
            students.remove(name)
            odd[name] = _DEEP
    if student is not None:
        if student in odd:
            raise CourseError(f"{student!r} cannot be graded: {odd[student]}.")
        if student not in students:
            raise CourseError(f"{student!r} has handed in nothing for {assignment}. {suggest(student, students)}")
        return [student], {}
    if not students and not odd:
        where = course.path("submitted", assignment, "STUDENT")
        raise CourseError(f"Nobody has handed in {assignment}: submissions are expected in {where}")
    return students, odd


def _ready(course: Course, assignment: str, notebooks: list[str]) -> None:
    """Hold that the release exists and the gradebook knows the assignment."""
    missing = [n for n in notebooks if not (course.path("release", assignment) / f"{n}.ipynb").is_file()]
    try:
        with course.gradebook() as gradebook:
            known = {n.name for n in gradebook.find_assignment(assignment).notebooks}
    except MissingEntry:
        known = set()
    except (DatabaseError, sqlite3.Error) as error:
        reason = str(error).splitlines()[0]
        if "disk" in reason:
            raise CourseError(f"The gradebook {course.db_url} cannot be written to: {reason}. {MENDED}.") from error
        advice = f"Restore it from a backup, or move it away and run `course build {assignment}` to begin a new one."
        raise CourseError(f"The gradebook {course.db_url} cannot be used: {reason}. {advice}") from error
    for name in set(notebooks) - set(missing):
        path = course.path("release", assignment) / f"{name}.ipynb"
        try:
            nbformat.read(path, as_version=4)
        except ValueError as error:
            raise CourseError(f"{path} is not a notebook any more. Run `course build {assignment}`.") from error
    if missing or not set(notebooks) <= known:
        raise CourseError(f"{assignment} has not been released. Run `course build {assignment}`.")
    for step in ("autograded", "feedback"):
        folder = course.path(step, "x", "x").parent.parent
        try:
            folder.mkdir(exist_ok=True)
        except FileExistsError as error:
            raise CourseError(f"{folder} is no folder. Move it away and run the command again.") from error
        if not os.access(folder, os.W_OK):
            raise CourseError(f"{folder} cannot be written to. Change its permissions and run the command again.")


@contextmanager
def _alone(course: Course) -> Iterator[None]:
    """Hold the course's lock: two runs would write the same gradebook."""
    lock = filelock.FileLock(course.root / ".grading.lock", timeout=0)
    try:
        with lock:
            yield
    except filelock.Timeout:
        raise CourseError(
            f"Another grading run is at work in {course.root}. Wait for it to end, then try again."
        ) from None
    except PermissionError as error:
        raise CourseError(
            f"{error.filename} cannot be written to. Change its permissions and run the command again."
        ) from error
