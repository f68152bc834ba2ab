"""Who is who: students of the gradebook in the rows of a learning platform's file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dlcourse.errors import CourseError
from dlcourse.lms.sheet import find_column, read_sheet

STUDENT_COLUMNS = ("student_id", "student", "nbgrader_id")


class Roster:
    """A CSV file with a column ``student_id`` and columns named as the platform names them, such as ``SIS User ID``.

    Raises:
        CourseError: there is no such column, or one student or one identity stands there twice.
    """

    def __init__(self, path: Path) -> None:
        sheet = read_sheet(path)
        place = find_column(sheet, *STUDENT_COLUMNS)
        if place is None:
            raise CourseError(f"{path} has no column student_id, which names the student as the gradebook does.")
        self.path = path
        self.columns: dict[str, dict[str, str]] = {}
        students = [row[place].strip() for row in sheet.rows[1:]]
        _unique(path, "student_id", students)
        for number, name in enumerate(sheet.header):
            if number != place:
                values = [row[number].strip() for row in sheet.rows[1:]]
                pairs = {student: value for student, value in zip(students, values, strict=True) if student and value}
                self.columns[name.strip().casefold()] = pairs

    def column(self, names: Iterable[str]) -> tuple[str, dict[str, str]]:
        """The first of the platform's columns that the roster has: its name, and its value by student.

        Raises:
            CourseError: the roster has none of them.
        """
        names = list(names)
        for name in names:
            if pairs := self.columns.get(name.casefold()):
                _unique(self.path, name, list(pairs.values()))
                return name, pairs
        raise CourseError(f"{self.path} has none of the platform's columns: {', '.join(names)}.")


def _unique(path: Path, column: str, values: list[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value and value.casefold() in seen:
            raise CourseError(f"{path}: {value!r} stands twice in the column {column}.")
        seen.add(value.casefold())


def find_rows(identities: dict[int, str], wanted: dict[str, str]) -> dict[str, int]:
    """Match students with rows, letter for letter first, then whatever the case.

    Args:
        identities: what each row of the file says, by row.
        wanted: what is looked for, by student.

    Raises:
        CourseError: an identity stands in two rows.
    """
    exact: dict[str, int] = {}
    folded: dict[str, list[int]] = {}
    for row, identity in identities.items():
        if identity and identity in exact:
            raise CourseError(f"{identity!r} stands in two rows of the file: which one is meant cannot be told.")
        if identity:
            exact[identity] = row
            folded.setdefault(identity.casefold(), []).append(row)
    found = {student: exact[identity] for student, identity in wanted.items() if identity in exact}
    taken = set(found.values())
    for student, identity in wanted.items():
        rows = folded.get(identity.casefold(), [])
        if student not in found and len(rows) == 1 and rows[0] not in taken:
            found[student] = rows[0]
            taken.add(rows[0])
    return found
