"""Read the file that a student handed in, which is untrusted, within limits."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_NOTEBOOK = 50 * 2**20  # bytes
MAX_CELLS = 2000
MAX_DEPTH = 50  # of folders in a submission
MAX_SOURCE = 2**20  # characters of one cell
KINDS = ("code", "markdown", "raw")
DEFINED = re.compile(r"^(?:async def|def|class) (\w+)", re.MULTILINE)
HEADING = re.compile(r"^##? (.*?)(?: \[[^\]]*\])?$", re.MULTILINE)  # what a graded cell belongs to, without its points
# Links are not followed and pipes not waited for, where the system knows how; Windows must be told to read bytes.
_CAREFULLY = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
_PICTURES = ("image/png", "image/jpeg")


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
        return name is not None and name in DEFINED.findall(self.source)


def read_cells(path: Path) -> tuple[list[Submitted], list[str]]:
    """Read and parse a submitted notebook within limits.

    Raises:
        Unreadable: no regular file, too large, not JSON, or not a notebook.
    """
    return parse(load(path))


def parse(raw: bytes) -> tuple[list[Submitted], list[str]]:
    """Parse a submitted notebook within limits.

    Returns:
        Its cells and the repairs that reading took.

    Raises:
        Unreadable: not JSON, or not a notebook.
    """
    content, repairs = notebook_json(raw)
    kernel = _dict(content.get("metadata")).get("kernelspec")
    if not isinstance(kernel, dict):
        repairs.append("kernel metadata was missing")
    elif str(kernel.get("language") or kernel.get("name", "python")).lower()[:6] != "python":
        repairs.append(f"kernel {str(kernel.get('name'))[:40]!r} replaced by Python")
    parsed = [_parse_cell(cell) for cell in content["cells"]]
    if malformed := [str(number) for number, cell in enumerate(parsed) if cell is None]:
        repairs.append(
            f"malformed and left out: cell {', '.join(malformed[:10])}{' …' if malformed[10:] else ''} (from 0)"
        )
    ids = [cell.cell_id for cell in parsed if cell and cell.cell_id]
    if len(set(ids)) < len(ids):
        repairs.append("cells shared an id")
    return [cell for cell in parsed if cell], repairs


def notebook_json(raw: bytes) -> tuple[dict[str, Any], list[str]]:
    """A notebook as JSON of format 4, within limits; nothing in its cells is checked.

    Returns:
        The notebook, whose "cells" is a list, and the repairs that reading took.

    Raises:
        Unreadable: not JSON, or not a notebook.
    """
    content = _json(raw)
    repairs: list[str] = []
    if content.get("nbformat") in (1, 2, 3):
        import nbformat  # slow, and seldom needed

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
    return content, repairs


def load(path: Path) -> bytes:
    """The bytes of a submitted notebook.

    Raises:
        Unreadable: it is no regular file, too large, or cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _CAREFULLY)
    except OSError as error:
        raise Unreadable(
            "not a regular file" if path.is_symlink() else f"cannot be opened: {error.strerror}"
        ) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise Unreadable(
            "a second name of another file (a hard link): put a copy in its place"
            if stat.S_ISREG(status.st_mode)
            else "not a regular file"
        )
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > MAX_NOTEBOOK:
            raise Unreadable(f"{status.st_size / 2**20:.0f} MiB; at most {MAX_NOTEBOOK // 2**20} MiB are read")
        return file.read(MAX_NOTEBOOK + 1)


def is_foreign(path: Path) -> bool:
    """Whether a path is neither a folder nor a file of its own: a link of either kind, a pipe, a device."""
    status = path.lstat()
    return not stat.S_ISDIR(status.st_mode) and not (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)


def is_deep(folder: Path) -> bool:
    """Whether folders lie in one another deeper than is copied; without recursion, which ends at a thousand."""
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return True
        with os.scandir(place) as entries:
            waiting += [(Path(entry), depth + 1) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return False


def _json(raw: bytes) -> dict[str, Any]:
    try:
        content = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {str(error)[:120]}") from error
    if not isinstance(content, dict):
        raise Unreadable("not a notebook: the file holds no JSON object")
    return content


def _parse_cell(cell: Any) -> Submitted | None:
    if not isinstance(cell, dict) or not isinstance(kind := cell.get("cell_type"), str) or kind not in KINDS:
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
