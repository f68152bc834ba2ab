"""A table of HTML as a grid of cells, written for Typst."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass
class Cell:
    """One cell: its Typst, the columns and rows it spans (as HTML has them), its alignment."""

    body: str
    columns: str = ""
    rows: str = ""
    align: str = ""


@dataclass
class Table:
    """A table filled row by row.

    Attributes:
        left_out: columns that are not shown.
    """

    MAX_ROWS: ClassVar[int] = 120
    MAX_COLUMNS: ClassVar[int] = 40

    heads: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    taken: set[tuple[int, int]] = field(default_factory=set)
    row: int = -1
    column: int = 0
    width: int = 0
    headers: int = 0
    left_out: int = 0

    def begin_row(self, header: bool) -> None:
        self.row += 1
        self.column = 0
        if header:
            self.headers = self.row + 1

    def add(self, cell: Cell) -> None:
        """Put a cell at the next free place of the row."""
        while (self.column, self.row) in self.taken:
            self.column += 1
        across, down = _span(cell.columns, self.MAX_COLUMNS), _span(cell.rows, self.MAX_ROWS)
        if self.column + across > self.MAX_COLUMNS:
            self.left_out = max(self.left_out, self.column + across - self.MAX_COLUMNS)
            self.column += across
            return
        places = {(self.column + x, self.row + y) for x in range(across) for y in range(down)}
        if places & self.taken:
            across = down = 1
            places = {(self.column, self.row)}
        self.taken |= places
        spans = "".join(f", {name}: {n}" for name, n in (("colspan", across), ("rowspan", down)) if n > 1)
        align = f", align: {cell.align}" if cell.align in ("left", "center", "right") else ""
        place = self.heads if self.row < self.headers else self.cells
        place.append(f"table.cell(x: {self.column}, y: {self.row}{spans}{align})[{cell.body}]")
        self.column += across
        self.width = max(self.width, self.column)

    def typst(self, align: str) -> str:
        """The whole table, or nothing if it is empty.

        Args:
            align: of cells that say nothing, "left" or "right".
        """
        if not self.heads and not self.cells:
            return ""
        parts = [f"table.header({', '.join(self.heads)})", *self.cells] if self.heads else self.cells
        return f"#fitted-table({self.width}, {self.headers}, {align}, {', '.join(parts)});\n"


def _span(value: str, most: int) -> int:
    return max(1, min(int(value), most)) if re.fullmatch(r"\d{1,4}", value) else 1
