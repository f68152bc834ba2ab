"""CSV files as learning platforms write them: separators, byte order mark, line ends stay; formulas are disarmed."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from dlcourse.errors import CourseError

MAX_SHEET = 64 * 2**20  # bytes
_NUMBER = re.compile(r"-?\d+([.,]\d+)?%?\Z")
_DECIMALS = re.compile(r"\d+[.,]\d+\Z")
_BOM = "\ufeff"


@dataclass
class Sheet:
    """A table of text. The first row is the header, every row as long as it.

    ``comma``: numbers have a decimal comma.
    """

    rows: list[list[str]]
    delimiter: str = ","
    newline: str = "\n"
    bom: bool = False
    comma: bool = False

    @property
    def header(self) -> list[str]:
        return self.rows[0]

    def number(self, points: str) -> str:
        """A number as this sheet writes it."""
        return points.replace(".", ",") if self.comma else points

    def text(self) -> str:
        """The file's text: everything in quotes except empty cells, which platforms tell from empty text."""
        lines = (
            self.delimiter.join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in row)
            for row in self.rows
        )
        return (_BOM if self.bom else "") + "".join(line + self.newline for line in lines)

    def write(self, path: Path) -> None:
        """Replace the file at once.

        Raises:
            CourseError: it cannot be written.
        """
        temporary = path.with_name(path.name + ".part")
        try:
            temporary.write_bytes(self.text().encode("utf-8"))
            temporary.replace(path)
        except OSError as error:
            raise CourseError(f"{path} cannot be written: {error.strerror}.") from error


def read_sheet(path: Path) -> Sheet:
    """Read a CSV file.

    Raises:
        CourseError: it cannot be read, or is no table in UTF-8.
    """
    try:
        if path.stat().st_size > MAX_SHEET:
            raise CourseError(f"{path} is larger than {MAX_SHEET // 2**20} MiB: no export of grades is.")
        raw = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CourseError(
            f"{path} is not UTF-8. Take the file as it was exported, without saving it from a spreadsheet program, "
            'or save it there as "CSV UTF-8".'
        ) from error
    text = raw.removeprefix(_BOM)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=lambda one: len(next(csv.reader([first], delimiter=one), [])))
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise CourseError(f"{path} is not a CSV file: {error}.") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise CourseError(f"{path} is empty.")
    width = len(rows[0])
    if too_long := next((n for n, row in enumerate(rows, 1) if len(row) > width and any(row[width:])), None):
        raise CourseError(f"{path}: row {too_long} has more cells than the header.")
    rows = [(row + [""] * width)[:width] for row in rows]
    numbers = {cell.strip() for row in rows[1:] for cell in row if _DECIMALS.match(cell.strip())}
    comma = any("," in number for number in numbers) or (not numbers and delimiter == ";")
    return Sheet(rows, delimiter, "\r\n" if "\r\n" in raw else "\n", raw.startswith(_BOM), comma)


def disarmed(text: str) -> str:
    """Text that no spreadsheet program takes for a formula: an apostrophe before ``=``, ``+``, ``-``, ``@``, tabs."""
    risky = text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] in ("\t", "\r", "\n")
    return f"'{text}" if risky and not _NUMBER.match(text) else text


def as_number(text: str) -> float | None:
    """A cell's number, with a point or a comma before the decimals; None for anything else."""
    text = text.strip()
    try:
        return float(text.replace(",", ".")) if _NUMBER.match(text) and not text.endswith("%") else None
    except ValueError:
        return None


def find_column(sheet: Sheet, *names: str) -> int | None:
    """The place of the first of these columns that the sheet has, whatever their case; None without any."""
    folded = [cell.strip().casefold() for cell in sheet.header]
    return next((folded.index(name.casefold()) for name in names if name.casefold() in folded), None)
