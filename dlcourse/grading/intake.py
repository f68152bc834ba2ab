"""Read a submitted notebook, which is untrusted, and align it with the release.

What comes out has every graded and locked cell of the release in its order, with the release's metadata, the learner's
text in the solution cells, and the learner's own cells where they stood. Every repair is written down.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from nbgrader.preprocessors import NbGraderPreprocessor
from rapidfuzz import fuzz

MAX_NOTEBOOK = 50 * 2**20  # bytes
MAX_CELLS = 2000
MAX_SOURCE = 2**20  # characters of one cell
SIMILAR = 75  # of 100: how alike two texts must be to count as one cell edited
_DEFINED = re.compile(r"^(?:async def|def|class) (\w+)", re.MULTILINE)
_PICTURES = ("image/png", "image/jpeg")
_MAKE = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}


class Unreadable(Exception):
    """A submission that cannot be read as a notebook; the message says why."""


@dataclass(eq=False)  # two cells of the same text are still two
class Submitted:
    """A cell as it was handed in, reduced to what grading needs."""

    kind: str
    source: str
    grade_id: str | None
    cell_id: str | None
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)  # pictures by name, then type
    taken: bool = False

    def defines(self, name: str | None) -> bool:
        """Whether the cell defines a function or class of this name at the top level."""
        return name is not None and name in _DEFINED.findall(self.source)


def read_cells(path: Path) -> tuple[list[Submitted], list[str]]:
    """Read a submitted notebook within limits.

    Returns:
        Its cells and the repairs that reading took.

    Raises:
        Unreadable: no regular file, too large, not JSON, or not a notebook.
    """
    content = _load(path)
    repairs: list[str] = []
    if content.get("nbformat") in (1, 2, 3):
        try:
            content = nbformat.convert(nbformat.from_dict(content), 4)
        except Exception as error:
            raise Unreadable(
                f"a notebook of the old format {content.get('nbformat')} that cannot be converted"
            ) from error
        repairs.append("converted from an old notebook format")
    cells = content.get("cells")
    if not isinstance(cells, list):
        raise Unreadable("not a notebook: it has no list of cells")
    if len(cells) > MAX_CELLS:
        raise Unreadable(f"{len(cells)} cells; at most {MAX_CELLS} are read")
    kernel = _dict(content.get("metadata")).get("kernelspec")
    if not isinstance(kernel, dict):
        repairs.append("kernel metadata was missing")
    elif str(kernel.get("language") or kernel.get("name", "python")).lower()[:6] != "python":
        repairs.append(f"kernel {str(kernel.get('name'))[:40]!r} replaced by Python")
    parsed = [_parse_cell(cell) for cell in cells]
    if malformed := [str(number) for number, cell in enumerate(parsed) if cell is None]:
        repairs.append(
            f"malformed and left out: cell {', '.join(malformed[:10])}{' …' if malformed[10:] else ''} (from 0)"
        )
    ids = [cell.cell_id for cell in parsed if cell and cell.cell_id]
    if len(set(ids)) < len(ids):
        repairs.append("cells shared an id")
    return [cell for cell in parsed if cell], repairs


def _load(path: Path) -> dict[str, Any]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(
            "not a regular file" if path.is_symlink() else f"cannot be opened: {error.strerror}"
        ) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise Unreadable("not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > MAX_NOTEBOOK:
            raise Unreadable(f"{status.st_size / 2**20:.0f} MiB; at most {MAX_NOTEBOOK // 2**20} MiB are read")
        raw = file.read(MAX_NOTEBOOK + 1)
    try:
        content = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {str(error)[:120]}") from error
    if not isinstance(content, dict):
        raise Unreadable("not a notebook: the file holds no JSON object")
    return content


def _parse_cell(cell: Any) -> Submitted | None:
    if not isinstance(cell, dict) or not isinstance(kind := cell.get("cell_type"), str) or kind not in _MAKE:
        return None
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str) or len(source) > MAX_SOURCE:
        return None
    source = source.encode("utf-8", "replace").decode("utf-8")  # lone surrogates cannot be written back
    metadata = _dict(cell.get("metadata"))
    nbgrader = _dict(metadata.get("nbgrader"))
    grade_id, cell_id = nbgrader.get("grade_id"), cell.get("id") or metadata.get("id")
    return Submitted(
        kind,
        source.replace("\r\n", "\n"),
        grade_id if isinstance(grade_id, str) else None,
        cell_id if isinstance(cell_id, str) else None,
        _pictures(cell.get("attachments")),
    )


def _dict(content: Any) -> dict[str, Any]:
    return content if isinstance(content, dict) else {}


def _pictures(attachments: Any) -> dict[str, dict[str, str]]:
    """What an answer in words may carry: its pictures, such as a photographed derivation."""
    kept: dict[str, dict[str, str]] = {}
    for name, bundle in _dict(attachments).items():
        pictures = {kind: text for kind, text in _dict(bundle).items() if kind in _PICTURES and isinstance(text, str)}
        if pictures and all(text.isascii() for text in [name, *pictures.values()]):
            kept[name] = pictures
    return kept


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
    return next(iter(_DEFINED.findall(cell.source)), None)


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
    if position == 0:
        return None
    texts = {c.source.strip() for c in release.cells if "nbgrader" not in c.metadata}
    before = release.cells[position - 1].source.strip()
    for first, second in itertools.pairwise(cells):
        answers = second in free and second.kind == cell.cell_type and second.source.strip() not in texts
        if answers and _likeness(first.source.strip(), before):
            return second
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


def blank(release: NotebookNode, cause: str, message: str) -> NotebookNode:
    """The release itself in the place of a submission that cannot be graded, with the cause."""
    notebook, _ = align([], release)
    notebook.metadata["dlcourse"] = {"cause": cause, "message": message, "repairs": []}
    return notebook


def take_in(path: Path, release: NotebookNode) -> NotebookNode:
    """Read and align a submission. Never raises for what a submission holds: what cannot be read becomes blank."""
    try:
        cells, repairs = read_cells(path)
    except Unreadable as error:
        return blank(release, "unreadable", str(error))
    notebook, more = align(cells, release)
    notebook.metadata["dlcourse"] = {"cause": None, "message": "", "repairs": repairs + more}
    return notebook


class Intake(NbGraderPreprocessor):
    """nbgrader's sanitizing step. The work is done while the file is read; this holds that it was."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        if "dlcourse" not in nb.metadata:
            raise RuntimeError("set c.Autograde.exporter_class = 'dlcourse.grading.exporter.SubmissionExporter'")
        return nb, resources
