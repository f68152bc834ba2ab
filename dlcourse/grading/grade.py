"""``course grade``: take a class through nbgrader's autograde and feedback, one submission after the other."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import nbformat
from nbgrader.api import MissingEntry
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.converters.base import NbGraderException
from sqlalchemy.exc import DatabaseError

from dlcourse.course import Course, suggest
from dlcourse.errors import CourseError
from dlcourse.grading import sandbox
from dlcourse.grading.key import AnswerKey
from dlcourse.grading.report import ClassResult, Result, collect
from dlcourse.sample import is_shipped


def grade(
    course: Course,
    assignment: str,
    *,
    student: str | None = None,
    force: bool = False,
    sandboxed: str | None = None,
    say: Callable[[Result | None, int, int], None] = lambda result, done, total: None,
) -> ClassResult:
    """Grade every submission of an assignment, or one student's.

    Args:
        student: only this one.
        force: grade again what is up to date; each score starts from zero.
        sandboxed: ``auto``, ``bubblewrap`` or ``none``; None takes the configuration's.
        say: called after each submission with its result, how many are done and how many there are.

    Raises:
        CourseError: nothing can be graded: an unknown assignment or student, no release, no sandbox, another run.
    """
    notebooks = course.notebooks(assignment)
    keys = {name: AnswerKey.load(course, assignment, name) for name in notebooks}
    students, odd = _class(course, assignment, student)
    if sandboxed:
        course.config.Run.sandbox = sandboxed
    with _alone(course):
        _ready(course, assignment, notebooks)
        _walls(course, assignment, students, notebooks)
        result = ClassResult(assignment, failed=odd)
        for done, name in enumerate(students, 1):
            fingerprint = _fingerprint(course, assignment, name, keys)
            skipped = not force and _up_to_date(course, assignment, name, fingerprint)
            try:
                if not skipped:
                    _grade_one(course, assignment, name, fingerprint)
                one = collect(course, assignment, name)
                one.skipped = skipped
            except CourseError as error:
                result.failed[name] = str(error)
                one = None
            if one is not None:
                result.submissions.append(one)
            say(one, done, len(students))
    return result


_ODD_NAME = "the folder's name cannot be a student's: use letters, digits and _.@+- only"
_LINK = "the folder is a link, and links are not followed: put the files themselves in its place"


def _class(course: Course, assignment: str, student: str | None) -> tuple[list[str], dict[str, str]]:
    """The students to grade, and the folders that cannot be graded, with the reason."""
    students, named = course.students(assignment)
    odd = dict.fromkeys(named, _ODD_NAME)
    for name in list(students):
        folder = course.path("submitted", assignment, name)
        if folder.is_symlink() or folder.parent.is_symlink():
            students.remove(name)
            odd[name] = _LINK
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


def _walls(course: Course, assignment: str, students: list[str], notebooks: list[str]) -> None:
    """Refuse to start when a submission needs the sandbox and there is none."""
    if course.config.Run.get("sandbox", "auto") == "none":
        return
    paths = [course.path("submitted", assignment, s) / f"{n}.ipynb" for s in students for n in notebooks]
    if not all(is_shipped(path) for path in paths if path.exists()):
        sandbox.require()


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


def _fingerprint(course: Course, assignment: str, student: str, keys: dict[str, AnswerKey]) -> str:
    """A digest of everything that a grade depends on: the files handed in and the answer keys."""
    digest = hashlib.sha256()
    for name in sorted(keys):
        digest.update(f"{name}:{keys[name].fingerprint}\n".encode())
    folder = course.path("submitted", assignment, student)
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        digest.update(f"{path.relative_to(folder)}:{status.st_mode}:{status.st_size}\n".encode("utf-8", "replace"))
        if path.is_file() and not path.is_symlink() and status.st_size <= 64 * 2**20:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _marker(course: Course, assignment: str, student: str) -> Path:
    return course.path("autograded", assignment, student) / ".graded"


def _up_to_date(course: Course, assignment: str, student: str, fingerprint: str) -> bool:
    marker, feedback = _marker(course, assignment, student), course.path("feedback", assignment, student)
    return marker.is_file() and marker.read_text("utf-8") == fingerprint and feedback.is_dir()


def _grade_one(course: Course, assignment: str, student: str, fingerprint: str) -> None:
    """Autograde and give feedback; the marker that says so is written last.

    Raises:
        CourseError: this submission could not be graded for a reason outside it, such as a full disk.
    """
    folder = course.path("submitted", assignment, student)
    if not any(os.path.lexists(folder / f"{name}.ipynb") for name in course.notebooks(assignment)):
        _no_notebook(course, assignment, student)
        return
    unsafe = _unsafe_files(folder)
    with course.errors() as errors:
        try:
            for kind in (Autograde, GenerateFeedback):
                converter = course.converter(kind, assignment, student, force=True)
                converter.coursedir.ignore = [*converter.coursedir.ignore, *unsafe]
                converter.start()
            marker = _marker(course, assignment, student)
            marker.write_text(fingerprint, "utf-8")
        except (NbGraderException, OSError, DatabaseError) as error:
            reason = next((e for e in errors if "Error" in e), errors[0] if errors else str(error))
            reason = reason.removeprefix("dlcourse.errors.CourseError: ")
            if "[Errno" in reason:
                reason += ". When that is mended, run the command again: what was finished is kept"
            raise CourseError(reason) from error


def _unsafe_files(folder: Path) -> list[str]:
    """Patterns for links, devices and pipes in a submission: nbgrader would follow them when it copies.

    nbgrader takes the name of a folder for a pattern too, so that nothing below one with brackets can be named: such a
    folder is left out as a whole.
    """
    unsafe = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            parts = path.relative_to(folder).parts
            unsafe.append(glob.escape(next((part for part in parts if glob.escape(part) != part), path.name)))
    return unsafe


def _no_notebook(course: Course, assignment: str, student: str) -> None:
    """A folder without any notebook of the assignment: zero for everything, nothing to run."""
    for step in ("autograded", "feedback"):
        shutil.rmtree(course.path(step, assignment, student), ignore_errors=True)
    with course.gradebook() as gradebook:
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(assignment, student)
        for notebook in submission.notebooks:
            for one in notebook.grades:
                one.auto_score, one.needs_manual_grade = 0, False
        gradebook.db.commit()
