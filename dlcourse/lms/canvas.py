"""Grades for Canvas: fill one existing column of the gradebook that Canvas exported, and say first what would change.

Canvas takes a column that it does not know for a new assignment, and a name that it does not know for a new student.
So nothing is added: the file that was exported from Canvas is read, and one column of it is filled.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from dlcourse.course import suggest
from dlcourse.errors import CourseError
from dlcourse.lms.grades import Grade, lateness, two_decimals
from dlcourse.lms.roster import Roster, find_rows
from dlcourse.lms.sheet import Sheet, as_number, disarmed, find_column, read_sheet

NAMES = ("Student", "LastName", "FirstName")
IDENTITIES = ("SIS Login ID", "SIS User ID", "ID", "Integration ID")
ABOUT = (*NAMES, *IDENTITIES, "Root Account", "Section")
EXCUSED, NOT_ASSIGNED = "EX", "N/A"
_TITLE = re.compile(r"(.*) \((\d+)\)\Z", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """An assignment as Canvas lists it."""

    place: int
    title: str
    number: str
    points: float | None

    @property
    def header(self) -> str:
        return f"{self.title} ({self.number})"


class CanvasGradebook:
    """A gradebook as Canvas exports it: header, a row "Manual Posting" or none, "Points Possible", one row a student.

    Raises:
        CourseError: the file is not such a gradebook.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sheet: Sheet = read_sheet(path)
        header = self.sheet.header
        name, number = find_column(self.sheet, *NAMES), find_column(self.sheet, "ID")
        at = next((n for n, row in enumerate(self.sheet.rows) if row[0].strip() == "Points Possible"), None)
        if name is None or number is None or at is None:
            raise CourseError(
                f"{path} is not a gradebook exported from Canvas: it has no columns Student and ID and no row "
                '"Points Possible". In Canvas: Grades → Export → Export Entire Gradebook.'
            )
        self.points_row, self.name_place = at, name
        self.columns = [
            Column(place, match.group(1), match.group(2), as_number(self.sheet.rows[at][place]))
            for place, title in enumerate(header)
            if (match := _TITLE.match(title)) and not self.sheet.rows[at][place].strip().startswith("(")
        ]
        self.students = range(at + 1, len(self.sheet.rows))

    def column(self, wanted: str) -> Column:
        """The assignment of this title, number or whole header.

        Raises:
            CourseError: there is none or more than one; a new one is never made.
        """
        found = [c for c in self.columns if wanted in (c.number, c.header, c.title)]
        found = found or [c for c in self.columns if wanted.casefold() == c.title.casefold()]
        if len(found) == 1:
            return found[0]
        if found:
            raise CourseError(
                f"{self.path} has {len(found)} assignments called {wanted!r}. Name one by its number: "
                f"{', '.join(f'--column {c.number}' for c in found)}."
            )
        known = suggest(wanted, [c.header for c in self.columns])
        raise CourseError(
            f"{self.path} has no assignment {wanted!r}, and none is made. {known} Name it with --column, or make the "
            "assignment in Canvas, publish it and export the gradebook again."
        )

    def cell(self, row: int, column: str) -> str:
        """What stands in a column of a student's row; nothing where the file lacks the column."""
        place = find_column(self.sheet, column)
        return "" if place is None else self.sheet.rows[row][place].strip()

    def name(self, row: int) -> str:
        """A student's name as Canvas gives it."""
        names = [self.cell(row, one) for one in NAMES]
        return ", ".join(one for one in names if one)


@dataclass(frozen=True)
class Change:
    """One cell: what Canvas has, what it is to get, and what is worth knowing about it."""

    row: int
    student: str
    name: str
    old: str
    new: str
    note: str = ""

    @property
    def lower(self) -> bool:
        """Whether points would be taken away that Canvas shows now."""
        old, new = as_number(self.old), as_number(self.new)
        return old is not None and new is not None and new < old


@dataclass
class Update:
    """What an export to Canvas would do, before it is done."""

    column: Column
    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    kept: dict[str, str] = field(default_factory=dict)  # student → why the cell stays as it is
    only_in_canvas: list[str] = field(default_factory=list)
    only_in_gradebook: list[str] = field(default_factory=list)


def plan(
    canvas: CanvasGradebook,
    column: Column,
    grades: list[Grade],
    *,
    roster: Roster | None = None,
    match: str | None = None,
    excused: Collection[str] = (),
    scale: bool | None = None,
) -> Update:
    """Compare the gradebook's grades with a column of Canvas's.

    Args:
        roster: which student is who in Canvas; without, the ids are compared with ``match``.
        match: Canvas's column that identifies a student; by default SIS Login ID.
        excused: students whose grade does not count.
        scale: convert to the points that Canvas has for the assignment (True) or not (False).

    Raises:
        CourseError: the points possible differ and ``scale`` is None, or students cannot be told apart.
    """
    factor = _factor(canvas, column, grades, scale)
    update = Update(column)
    found = _match(canvas, grades, roster, match)
    if unknown := sorted(set(excused) - {grade.student for grade in grades}):
        raise CourseError(f"--excuse: {unknown[0]!r} is not in the gradebook. {suggest(unknown[0], _ids(grades))}")
    for grade in grades:
        if grade.student not in found:
            if grade.score is not None:
                update.only_in_gradebook.append(grade.student)
            continue
        row = found[grade.student]
        old = canvas.sheet.rows[row][column.place].strip()
        if why := _stays(grade, old, excused):
            update.kept[grade.student] = why
            continue
        new = EXCUSED if grade.student in excused else canvas.sheet.number(two_decimals((grade.score or 0) * factor))
        if old == new or (as_number(old) is not None and as_number(old) == as_number(new)):
            update.unchanged += 1
            continue
        update.changes.append(Change(row, grade.student, canvas.name(row), old, new, _note(grade)))
    rows = set(found.values())
    update.only_in_canvas = [
        canvas.name(row) for row in canvas.students if row not in rows and canvas.name(row) != "Student, Test"
    ]
    return update


def filled(canvas: CanvasGradebook, update: Update, *, alone: bool = False) -> Sheet:
    """The gradebook with the changes made: ids, order and the other columns as Canvas wrote them, names disarmed.

    Args:
        alone: leave the other assignments' columns out, so that the file cannot set them back.
    """
    sheet = canvas.sheet
    rows = [list(row) for row in sheet.rows]
    for change in update.changes:
        rows[change.row][update.column.place] = change.new
    for name in (*NAMES, "Section"):
        if (place := find_column(sheet, name)) is not None:
            for row in canvas.students:
                rows[row][place] = disarmed(rows[row][place])
    if alone:
        kept = [n for n, name in enumerate(sheet.header) if name.strip() in ABOUT or n == update.column.place]
        rows = [[row[n] for n in kept] for row in rows]
    return Sheet(rows, sheet.delimiter, sheet.newline, sheet.bom, sheet.comma)


def _ids(grades: list[Grade]) -> list[str]:
    return [grade.student for grade in grades]


def _factor(canvas: CanvasGradebook, column: Column, grades: list[Grade], scale: bool | None) -> float:
    ours, theirs = max((grade.max_score for grade in grades), default=0.0), column.points
    if theirs is None or theirs == ours or scale is False or not ours:
        return 1.0
    if scale is None:
        raise CourseError(
            f"{column.header} has {theirs:g} points in Canvas and {ours:g} in the gradebook. Convert with --scale, "
            "write the points as they are with --no-scale, or mend the points in Canvas and export it again."
        )
    return theirs / ours


def _match(canvas: CanvasGradebook, grades: list[Grade], roster: Roster | None, match: str | None) -> dict[str, int]:
    """The row of each student: by Canvas's ID where nbgrader knows it (``lms_user_id``), else by roster or own id."""
    ids = {row: canvas.cell(row, "ID") for row in canvas.students}
    by_id = find_rows(ids, {g.student: g.lms_user_id for g in grades if g.lms_user_id})
    if roster is not None:
        name, wanted = roster.column([match] if match else IDENTITIES)
    else:
        name, wanted = match or "SIS Login ID", {student: student for student in _ids(grades)}
    if find_column(canvas.sheet, name) is None:
        there = [one for one in IDENTITIES if find_column(canvas.sheet, one) is not None]
        raise CourseError(f"{canvas.path} has no column {name!r}. Name another with --match: {', '.join(there)}.")
    taken = set(by_id.values())
    free = {row: canvas.cell(row, name) for row in canvas.students if row not in taken}
    wanted = {student: identity for student, identity in wanted.items() if student not in by_id}
    return by_id | find_rows(free, wanted)


def _stays(grade: Grade, old: str, excused: Collection[str]) -> str:
    if old == NOT_ASSIGNED:
        return "not assigned to this student in Canvas"
    if grade.student in excused:
        return ""
    if old.upper() == EXCUSED:
        return "excused in Canvas"
    return "nothing handed in" if grade.score is None else ""


def _note(grade: Grade) -> str:
    notes = []
    if grade.late_seconds > 0:
        notes.append(f"late {lateness(grade.late_seconds)}" + (f", −{grade.late_penalty:g}" * bool(grade.late_penalty)))
    if grade.waiting:
        notes.append(f"{grade.waiting:g} points wait for grading by hand")
    return "; ".join(notes)
