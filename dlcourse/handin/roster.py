"""The roster: a CSV that says which student of the course is meant by what a download calls a person.

The gradebook that Canvas exports and the roster that Gradescope exports can be used as they are.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dlcourse.course import readable_name
from dlcourse.errors import CourseError
from dlcourse.handin.downloads import HandedIn, Person, squeezed
from dlcourse.lms.sheet import read_sheet

_COLUMNS = {
    "student_id": ("student id", "username", "login id", "sis login id", "netid"),
    "canvas_id": ("id", "canvas id", "canvas user id", "lms user id"),
    "anonymous_id": ("anonymous id", "anon id"),
    "sid": ("sid", "sis user id", "student number"),
    "email": ("email", "email address"),
    "name": ("name", "full name", "sortable name"),
    "first": ("first name", "first"),
    "last": ("last name", "last", "surname"),
    "group": ("group", "group name", "team"),
    "submitted": ("submitted", "submitted at", "timestamp"),
}


@dataclass(frozen=True)
class Row:
    """One line of the roster."""

    student: str
    person: Person
    group: str
    submitted: datetime.datetime | None


class Unknown(Exception):
    """The roster does not say who somebody is; the message says why."""


class Roster:
    """Finds students.

    Args:
        path: the CSV file, UTF-8, with a line of column names.
        local: puts a time without a zone into the course's.

    Raises:
        CourseError: no such table, or a line that names no usable student.
    """

    def __init__(self, path: Path, local: Callable[[datetime.datetime], datetime.datetime]) -> None:
        header, *table = read_sheet(path).rows
        columns = _columns(header)
        if not {"student_id", "sid", "email"} & set(columns):
            raise CourseError(
                f"{path} says of nobody which student it is: it needs a column student_id, SIS Login ID, SID or Email."
            )
        lines = (dict(zip(header, cells, strict=True)) for cells in table)
        self.rows = [row for number, line in enumerate(lines, 2) if (row := _row(path, number, line, columns, local))]
        if not self.rows:
            raise CourseError(f"{path} lists no student.")

    def find(self, handed_in: HandedIn) -> list[Row]:
        """The students that a submission is of: one, or the members of a group.

        Raises:
            Unknown: nobody, or more than one.
        """
        person = handed_in.person
        if group := [r for r in self.rows if r.group and squeezed(r.group) == squeezed(person.name)]:
            return group
        for key in ("canvas_id", "anonymous_id", "email", "sid"):
            wanted = getattr(person, key).casefold()
            if wanted and (rows := [r for r in self.rows if getattr(r.person, key).casefold() == wanted]):
                return rows[:1]
        same = {row.student: row for row in self.rows if row.person.forms() & person.forms()}
        if len(same) > 1:
            raise Unknown(f"several students are called so: {', '.join(sorted(same))}")
        if not same:
            raise Unknown("not in the roster")
        return list(same.values())


def _columns(header: list[str]) -> dict[str, str]:
    """The roster's columns by what they mean; "Student" is a name beside Canvas's ID, an id alone."""
    plain = {" ".join(name.replace("_", " ").casefold().split()): name for name in header}
    columns = {}
    for meaning, names in _COLUMNS.items():
        if known := next((plain[name] for name in names if name in plain), None):
            columns[meaning] = known
    if "student" in plain:
        columns.setdefault("name" if "canvas_id" in columns else "student_id", plain["student"])
    return columns


def _row(
    path: Path,
    number: int,
    line: dict[str, str],
    columns: dict[str, str],
    local: Callable[[datetime.datetime], datetime.datetime],
) -> Row | None:
    values = {meaning: line[column].strip() for meaning, column in columns.items()}
    student = values.get("student_id") or values.get("sid") or values.get("email") or ""
    if not student:  # an empty line, Canvas's "Points Possible", its test student
        return None
    if not readable_name(student):
        raise CourseError(
            f"{path}, line {number}: {student!r} cannot be a student: use letters, digits and _.@+- only."
        )
    submitted = None
    if text := values.pop("submitted", ""):
        try:
            submitted = local(datetime.datetime.fromisoformat(text))
        except ValueError as error:
            raise CourseError(f"{path}, line {number}: {text!r} is no date and time like 2025-04-18 20:00.") from error
    group = values.pop("group", "")
    values.pop("student_id", None)
    if not values.get("last") and "," in values.get("name", ""):
        values["last"], values["first"] = (part.strip() for part in values["name"].split(",", 1))
    return Row(student, Person(**values), group, submitted)
