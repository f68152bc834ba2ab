"""What collecting tells the gradebook: who the students are, and when the assignment is due."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from sqlalchemy.exc import DatabaseError

from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.handin.downloads import Person
from dlcourse.handin.settings import HandIn


def due_of(course: Course, assignment: str, rules: HandIn) -> datetime.datetime | None:
    """When an assignment is due: as configured, else as the gradebook has it (in UTC)."""
    if configured := rules.deadline(assignment):
        return configured
    if not _exists(course):
        return None
    with _gradebook(course) as gradebook:
        try:
            due = gradebook.find_assignment(assignment).duedate
        except MissingEntry:
            return None
    return due.replace(tzinfo=datetime.UTC) if due else None


def remember(course: Course, assignment: str, students: dict[str, tuple[Person, Person | None]], rules: HandIn) -> None:
    """Note names, addresses and Canvas ids of students, and a configured deadline; the same again changes nothing."""
    with _gradebook(course) as gradebook:
        for student, people in students.items():
            gradebook.update_or_create_student(student, **{n: v for n, v in _facts(*people).items() if v})
        if due := rules.deadline(assignment):
            gradebook.update_or_create_assignment(assignment, duedate=due)


def _exists(course: Course) -> bool:
    """Whether there is a gradebook: opening one would make it, which a dry run must not."""
    kind, _, path = course.db_url.partition(":///")
    return kind != "sqlite" or Path(path).is_file()


@contextmanager
def _gradebook(course: Course) -> Iterator[Gradebook]:
    try:
        with course.gradebook() as gradebook:
            yield gradebook
    except (DatabaseError, sqlite3.Error) as error:
        reason = str(error).splitlines()[0]
        raise CourseError(
            f"The gradebook {course.db_url} cannot be used: {reason}. Restore it from a backup."
        ) from error


def _facts(found: Person, listed: Person | None) -> dict[str, str]:
    """What is known of a student; the roster is believed before the download."""
    both = [person for person in (listed, found) if person]
    names = {"first_name": "first", "last_name": "last", "email": "email", "lms_user_id": "canvas_id"}
    return {field: next((v for p in both if (v := getattr(p, name))), "") for field, name in names.items()}
