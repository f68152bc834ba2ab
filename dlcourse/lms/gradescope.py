"""Grades in Gradescope's own table: a row a student, totals, and a column for every question.

With a file that Gradescope wrote, a roster or the scores of an assignment, its rows, order and ids are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from dlcourse.errors import CourseError
from dlcourse.lms.grades import Grade, lateness, two_decimals
from dlcourse.lms.roster import Roster, find_rows
from dlcourse.lms.sheet import Sheet, disarmed, find_column, read_sheet

IDENTITIES = ("Email", "SID")
ABOUT = ("First Name", "Last Name", "SID", "Email")
_QUESTION = re.compile(r"Question \w+: ")  # Gradescope numbers them itself
GRADED, UNGRADED, MISSING = "Graded", "Ungraded", "Missing"


@dataclass
class GradescopeTable:
    """The table, and who stands on one side only."""

    sheet: Sheet
    graded: int = 0
    only_in_gradescope: list[str] = field(default_factory=list)
    only_in_gradebook: list[str] = field(default_factory=list)


def table(
    grades: list[Grade],
    headings: dict[tuple[str, str], str],
    path: Path | None = None,
    roster: Roster | None = None,
) -> GradescopeTable:
    """Grades as Gradescope lists them.

    Args:
        headings: the question that each graded cell (notebook, grade_id) belongs to, in order.
        path: a CSV file that Gradescope wrote; without one the students of the gradebook are listed.
        roster: which student is who in Gradescope.

    Raises:
        CourseError: the file is none of Gradescope's, or students cannot be told apart.
    """
    if path is None:
        sheet = Sheet([list(ABOUT), *([g.first_name, g.last_name, g.student, g.email] for g in grades)])
        found = {grade.student: row for row, grade in enumerate(grades, 1)}
    else:
        sheet = read_sheet(path)
        found = _match(path, sheet, grades, roster)
    result = GradescopeTable(sheet)
    titles = _titles(grades, headings)
    for grade in grades:
        if grade.student in found:
            _fill(sheet, found[grade.student], _cells(grade, headings, titles))
            result.graded += grade.score is not None
        elif grade.score is not None:
            result.only_in_gradebook.append(grade.student)
    rows = set(found.values())
    named = [n for n in (find_column(sheet, name) for name in (*IDENTITIES, "Name")) if n is not None]
    result.only_in_gradescope = [
        next((row[n] for n in named if row[n]), f"row {number}")
        for number, row in enumerate(sheet.rows)
        if number and number not in rows
    ]
    sheet.rows = [sheet.header, *([disarmed(cell) for cell in row] for row in sheet.rows[1:])]
    return result


def _match(path: Path, sheet: Sheet, grades: list[Grade], roster: Roster | None) -> dict[str, int]:
    there = [name for name in IDENTITIES if find_column(sheet, name) is not None]
    if not there:
        raise CourseError(
            f"{path} has neither a column SID nor Email: it is no roster and no scores of Gradescope's. "
            "In Gradescope: Roster → Download Roster, or Review Grades → Download Grades."
        )
    found: dict[str, int] = {}
    asked = [roster.column(there)] if roster else [
        ("SID", {grade.student: grade.student for grade in grades}),
        ("Email", {grade.student: grade.email or grade.student for grade in grades}),
    ]  # fmt: skip
    for name, wanted in asked:
        place = find_column(sheet, name)
        if place is not None:
            taken = set(found.values())
            free = {n: row[place].strip() for n, row in enumerate(sheet.rows) if n and n not in taken}
            found |= find_rows(free, {student: one for student, one in wanted.items() if student not in found})
    return found


def _titles(grades: list[Grade], headings: dict[tuple[str, str], str]) -> dict[str, str]:
    """The column of each question, as Gradescope names them: ``1: Softmax (4.0 pts)``."""
    points: dict[str, float] = dict.fromkeys(headings.values(), 0.0)
    for question in next((grade.questions for grade in grades if grade.questions), ()):
        heading = headings.get((question.notebook, question.grade_id), question.grade_id)
        points[heading] = points.get(heading, 0.0) + question.max_score
    return {
        heading: f"{n}: {_QUESTION.sub('', heading)} ({total:.1f} pts)"
        for n, (heading, total) in enumerate(points.items(), 1)
    }


def _cells(grade: Grade, headings: dict[tuple[str, str], str], titles: dict[str, str]) -> dict[str, str]:
    """One student's cells, by column."""
    done = grade.score is not None
    cells = {
        "Total Score": two_decimals(grade.score) if grade.score is not None else "",
        "Max Points": two_decimals(grade.max_score),
        "Status": MISSING if not done else UNGRADED if grade.waiting else GRADED,
        "Submission Time": grade.timestamp.strftime("%Y-%m-%d %H:%M:%S +0000") if grade.timestamp else "",
        "Lateness (H:M:S)": lateness(grade.late_seconds) if done else "",
    }
    sums: dict[str, float] = {}
    for question in grade.questions:
        heading = headings.get((question.notebook, question.grade_id), question.grade_id)
        if question.score is not None:
            sums[heading] = sums.get(heading, 0.0) + question.score
    return cells | {title: two_decimals(sums[h]) if h in sums else "" for h, title in titles.items()}


def _fill(sheet: Sheet, row: int, cells: dict[str, str]) -> None:
    """Write cells into a row; a column that is missing is added at the end."""
    for name, text in cells.items():
        place = find_column(sheet, name)
        if place is None:
            place = len(sheet.header)
            for number, one in enumerate(sheet.rows):
                one.append("" if number else name)
        sheet.rows[row][place] = text
