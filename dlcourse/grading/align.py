"""Lay the cells of a submission over the release: find each by name, function, text or place, and restore the rest."""

from __future__ import annotations

from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from rapidfuzz import fuzz

from dlcourse.grading.reading import DEFINED, Submitted

SIMILAR = 75  # of 100: how alike two texts must be to count as one cell edited
HEADING_ID = "_solution"  # how the id of a heading above an answer ends
_MAKE = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}


def align(cells: list[Submitted], release: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """Lay a submission over the release.

    Cells are found by grade_id, then by cell id, then by the function they define, their text or their place.

    Returns:
        The notebook to run, and the repairs made.
    """
    ours = [c for c in release.cells if "nbgrader" in c.metadata]
    names = {c.metadata.nbgrader.grade_id: c for c in ours}
    repairs: list[str] = []
    chosen: dict[str, Submitted] = {}
    _unswap(cells, names, repairs)
    for grade_id, cell in names.items():
        same = [c for c in cells if c.grade_id == grade_id]
        if not same and cell.get("id"):
            same = [c for c in cells if c.grade_id not in names and c.cell_id == cell.id and not c.taken]
            if same:
                repairs.append(f"{grade_id}: found by its cell id, its name was lost or changed")
        if same:
            chosen[grade_id] = _one_of(same, cell, repairs)
            _take(chosen[grade_id], same, cell)
    for position, cell in enumerate(release.cells):
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id is None or grade_id in chosen:
            continue
        if found := _find(cell, position, release, cells, names):
            chosen[grade_id] = found
            found.taken = True
            repairs.append(f"{grade_id}: found by its text and place, its metadata was lost")
    order = [cells.index(chosen[g]) for g in names if g in chosen]
    if order != sorted(order):
        repairs.append("cells were out of order")
    kept = {c.id for c in release.cells if "id" in c and "nbgrader" not in c.metadata}
    if invented := sum(1 for c in cells if c.grade_id and c.grade_id not in names and not c.taken):
        repairs.append(f"{invented} cells with a name that the assignment does not have are not graded")
    result = _merge(cells, chosen, names, kept, repairs)
    notebook = new_notebook(cells=result, metadata=nbformat.from_dict(dict(release.metadata)))
    notebook.nbformat_minor = 5
    return notebook, repairs


def _unswap(cells: list[Submitted], names: dict[str, NotebookNode], repairs: list[str]) -> None:
    """Give names back to their cells where two cells carry each other's: a name says less than the function defined."""
    functions = {name: _function(cell) for name, cell in names.items()}
    for name, function in functions.items():
        holders = [c for c in cells if c.grade_id == name]
        if function is None or not holders or any(c.defines(function) for c in holders):
            continue
        others = [c for c in cells if c.grade_id in names and c.defines(function)]
        for other in reversed(others):
            if not other.defines(functions[str(other.grade_id)]):
                repairs.append(f"{name} and {other.grade_id}: had each other's names")
                for holder in holders:
                    holder.grade_id = other.grade_id
                other.grade_id = name
                break


def _function(cell: NotebookNode) -> str | None:
    """The function or class that an answer cell has to define; None for locked cells and answers in words."""
    if cell.cell_type != "code" or cell.metadata.nbgrader.get("locked"):
        return None
    return next(iter(DEFINED.findall(cell.source)), None)


def _one_of(same: list[Submitted], cell: NotebookNode, repairs: list[str]) -> Submitted:
    """Of several cells with one id the last one that was worked on."""
    grade_id = cell.metadata.nbgrader.grade_id
    if len(same) > 1:
        repairs.append(f"{grade_id}: {len(same)} cells with this id, the last edited one counts")
    edited = [c for c in same if c.source.strip() != cell.source.strip()]
    return (edited or same)[-1]


def _take(chosen: Submitted, same: list[Submitted], cell: NotebookNode) -> None:
    """Mark the chosen cell, and copies that carry nothing of their own: an untouched stub, a locked cell."""
    locked = cell.metadata.nbgrader.get("locked", False)
    for other in same:
        other.taken = other is chosen or locked or other.source.strip() == cell.source.strip()


def _find(
    cell: NotebookNode, position: int, release: NotebookNode, cells: list[Submitted], names: dict[str, NotebookNode]
) -> Submitted | None:
    """Find a cell that lost its name: a locked one by its text, an answer by its function or by the text above it."""
    free = [c for c in cells if not c.taken and c.grade_id not in names]
    if cell.metadata.nbgrader.get("locked"):
        best = max(free, key=lambda c: _likeness(c.source, cell.source), default=None)
        return best if best and _likeness(best.source, cell.source) else None
    if function := _function(cell):
        return next((c for c in reversed(free) if c.defines(function)), None)
    above = [c.source.strip() for c in release.cells[:position] if not c.get("id", "").endswith(HEADING_ID)]
    given = [c for c in release.cells if "nbgrader" not in c.metadata]
    texts, ids = {c.source.strip() for c in given}, {c.get("id") for c in given}
    for place, found in enumerate(cells):
        ours = found.source.strip() in texts or (found.cell_id is not None and found.cell_id in ids)
        answers = found in free and found.kind == cell.cell_type and not ours
        near = cells[max(0, place - 2) : place]  # the heading of the answer may stand between, or be gone
        if above and answers and any(_likeness(first.source.strip(), above[-1]) for first in near):
            return found
    return None


def _likeness(one: str, other: str) -> float:
    """How alike two texts are, of 100; 0 below SIMILAR."""
    return fuzz.ratio(one, other, score_cutoff=SIMILAR)


def _merge(
    cells: list[Submitted],
    chosen: dict[str, Submitted],
    names: dict[str, NotebookNode],
    kept: set[str],
    repairs: list[str],
) -> list[NotebookNode]:
    """The release's cells in their order, each followed by the learner's own cells that stood after it.

    Of the learner's cells those that came with the release keep its ids (``kept``), the others get new ones.
    """
    grade_id_of = {id(cell): grade_id for grade_id, cell in chosen.items()}
    own: dict[str | None, list[NotebookNode]] = {}
    anchor: str | None = None
    for cell in cells:
        if id(cell) in grade_id_of:
            anchor = grade_id_of[id(cell)]
        elif not cell.taken:
            name = cell.cell_id if cell.cell_id in kept else f"own-{sum(map(len, own.values()))}"
            kept.discard(name)
            own.setdefault(anchor, []).append(_make(cell.kind, cell.source, name, cell.attachments))
    result = own.get(None, [])
    for grade_id, ours in names.items():
        result.append(_restore(ours, chosen.get(grade_id), repairs))
        result.extend(own.get(grade_id, []))
    return result


def _restore(ours: NotebookNode, theirs: Submitted | None, repairs: list[str]) -> NotebookNode:
    """One cell of the release, with the learner's text if it is theirs to write."""
    grade_id, locked = ours.metadata.nbgrader.grade_id, ours.metadata.nbgrader.get("locked", False)
    source, attachments = ours.source, ours.get("attachments", {})
    if theirs is None:
        repairs.append(f"{grade_id}: deleted, put back")
    elif locked:
        if theirs.source.strip() != ours.source.strip() or theirs.kind != ours.cell_type:
            repairs.append(f"{grade_id}: locked but edited, put back")
    else:
        source, attachments = theirs.source, {**attachments, **theirs.attachments}
        if theirs.kind != ours.cell_type:
            repairs.append(f"{grade_id}: turned into a {theirs.kind} cell, turned back")
    cell = _make(ours.cell_type, source, ours.get("id", grade_id), attachments)
    cell.metadata = nbformat.from_dict({"nbgrader": dict(ours.metadata.nbgrader)})
    return cell


def _make(kind: str, source: str, name: str, attachments: dict[str, Any]) -> NotebookNode:
    cell: NotebookNode = _MAKE[kind](source, id=name)
    if attachments and kind != "code":
        cell.attachments = nbformat.from_dict(attachments)
    return cell
