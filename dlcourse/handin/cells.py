"""The cells of a notebook that is to be handed in, found again in its sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from dlcourse.errors import CourseError
from dlcourse.grading.reading import HEADING, Unreadable, read_cells
from dlcourse.handin.sheet import ReleasedCell, Sheet, digest


@dataclass(eq=False)  # two cells of the same text are still two
class FoundCell:
    """One cell: its number counted from 1, the heading it stands under, and the cell of the release that it is."""

    number: int
    kind: str
    source: str
    cell_id: str
    grade_id: str
    question: str
    count: Any  # execution count
    outputs: list[Any]
    graded: bool = False
    released: ReleasedCell | None = None

    @property
    def role(self) -> str:
        """Its role in the release; "own" for a cell that the learner added."""
        return self.released.role if self.released else "own"


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook within limits.

    Raises:
        CourseError: the file is no notebook; says why.
    """
    try:
        read_cells(path)  # says in plain words what is wrong with a file
        return nbformat.read(path, as_version=4)
    except Unreadable as error:
        raise CourseError(f"{path}: {error}") from error
    except Exception as error:
        raise CourseError(f"{path} is not a valid notebook: {str(error).splitlines()[0][:200]}") from error


def find_cells(notebook: NotebookNode, sheet: Sheet) -> list[FoundCell]:
    """The cells in their order, each with the cell of the release that it is: by grade_id, by cell id, by text."""
    cells, heading = [], ""
    for number, cell in enumerate(notebook.cells, 1):
        source = cell.get("source", "")
        if cell.cell_type == "markdown" and (titles := HEADING.findall(source)):
            heading = titles[-1]
        metadata = cell.get("metadata", {})
        nbgrader = metadata.get("nbgrader")
        nbgrader = nbgrader if isinstance(nbgrader, dict) else {}
        names = (cell.get("id") or metadata.get("id"), nbgrader.get("grade_id"))
        cell_id, grade_id = (name if isinstance(name, str) else "" for name in names)
        outputs = [output for output in cell.get("outputs", []) if isinstance(output, dict)]
        count = cell.get("execution_count")
        graded = bool(nbgrader.get("grade"))
        cells.append(FoundCell(number, cell.cell_type, source, cell_id, grade_id, heading, count, outputs, graded))
    free = list(sheet.cells)
    for same in (_same_name, _same_id, _same_text):
        for cell in cells:
            if cell.released is None:
                cell.released = next((released for released in free if same(cell, released)), None)
                if cell.released:
                    free.remove(cell.released)
    return cells


def _same_name(cell: FoundCell, released: ReleasedCell) -> bool:
    return bool(cell.grade_id) and cell.grade_id == released.grade_id


def _same_id(cell: FoundCell, released: ReleasedCell) -> bool:
    return not cell.grade_id and not released.grade_id and cell.cell_id == released.cell_id


def _same_text(cell: FoundCell, released: ReleasedCell) -> bool:
    return not cell.grade_id and cell.source.strip() != "" and digest(cell.source) == released.digest
