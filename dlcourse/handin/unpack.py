"""The uploads of one learner → the files of a submission: the newest notebooks, and what lies beside them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dlcourse.grading.reading import Unreadable, read_cells
from dlcourse.handin.archive import MAX_ENTRIES, MAX_FILE, MAX_SUBMISSION, BadArchive, Entry, Refusal, opened
from dlcourse.handin.downloads import Upload
from dlcourse.handin.names import COPY
from dlcourse.handin.paths import is_junk, path_problem, shown

# Written by us beside a submission; a learner's file of this name could say anything.
OWN_FILES = ("timestamp.txt", ".collected.json")
Assignment = dict[str, set[str]]  # the grade_ids of its notebooks, by notebook


@dataclass
class _File:
    """A file as it was found: where it was, its bytes on disk, how new its upload is, which upload it came with."""

    path: str
    raw: Path
    order: int
    upload: int


@dataclass
class Unpacked:
    """The files of a submission by their paths in it, what was left out, and what a grader should know."""

    files: dict[str, Path] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def unpack(uploads: list[Upload], notebooks: Assignment, scratch: Path) -> Unpacked:
    """Unpack one learner's uploads within limits.

    Args:
        uploads: files and ZIPs.
        notebooks: of the assignment.
        scratch: an empty folder for their bytes.
    """
    result = Unpacked()
    found = list(_files(uploads, scratch, result.refused))
    chosen = _choose([f for f in found if _is_notebook(f.path)], notebooks, result)
    if not chosen:
        return result
    result.files = {f"{notebook}.ipynb": file.raw for notebook, file in sorted(chosen.items())}
    # Where the notebook of each upload lay; None for an upload that only has an older one.
    homes: dict[int, PurePosixPath | None] = dict.fromkeys(f.upload for f in found if _is_notebook(f.path))
    homes |= {file.upload: PurePosixPath(file.path).parent for file in chosen.values()}
    used = {id(file) for file in chosen.values()}
    left: list[tuple[_File, str]] = []
    for file in sorted(found, key=lambda f: -f.order):
        if id(file) in used or _is_notebook(file.path):
            continue
        name = _beside(file, homes)
        if name is None:
            left.append((file, "not in the notebook's folder, or of an older upload"))
        elif name.casefold() in OWN_FILES:
            left.append((file, "a name that the course writes itself"))
        elif other := next((kept for kept in result.files if _collide(kept, name)), None):
            left.append((file, f"{shown(other)} is there already, from a newer upload"))
        else:
            result.files[name] = file.raw
    kept = {_digest(raw) for raw in result.files.values()}  # the same file uploaded twice is no loss
    result.refused += [Refusal(shown(file.path), why) for file, why in left if _digest(file.raw) not in kept]
    return result


def _is_notebook(path: str) -> bool:
    return path.lower().endswith(".ipynb")


def _collide(one: str, other: str) -> bool:
    """Whether two paths cannot lie in one folder on every system: the same name, or a file where a folder must be."""
    one, other = one.casefold(), other.casefold()
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


class _Room:
    """How many bytes of one learner are still taken. What fails half-way counts too: damage buys no extra work."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.left, self.number = scratch, MAX_SUBMISSION, 0

    def take(self, entry: Entry, most: int) -> Path:
        """Copy an entry to a file of its own.

        Raises:
            BadArchive: too large, or damaged.
        """
        if entry.size > most:
            raise BadArchive(f"more than {most // 2**20} MiB come out of it")
        if entry.size > self.left:
            raise BadArchive(f"with it more than {MAX_SUBMISSION // 2**20} MiB were handed in")
        self.left -= entry.size
        self.number += 1
        target = self.scratch / str(self.number)
        try:
            with target.open("wb") as file:
                entry.copy_to(file, entry.size)
        except BadArchive:
            target.unlink()
            raise
        return target


def _files(uploads: list[Upload], scratch: Path, refused: list[Refusal]) -> Iterator[_File]:
    """Every file of the uploads, copied to ``scratch``; ZIPs are opened, ZIPs inside them are not."""
    room = _Room(scratch)
    for place, upload in enumerate(sorted(uploads, key=lambda u: (u.order, not _is_notebook(u.name)))):
        name = PurePosixPath(upload.name).as_posix()
        try:
            if why := _junk(name) or path_problem(name):
                raise BadArchive(why)
            if not name.lower().endswith(".zip"):
                yield _File(name, room.take(upload.entry, MAX_FILE), upload.order, place)
                continue
            with opened(room.take(upload.entry, MAX_SUBMISSION), MAX_ENTRIES) as (entries, bad):
                room.left += upload.entry.size  # what comes out of it is counted
                refused += [Refusal(f"{shown(name)}/{one.name}", one.why) for one in bad]
                for entry in sorted(entries, key=lambda e: not _is_notebook(e.name)):  # they come before all else
                    try:
                        if why := _junk(entry.name) or _nested(entry.name):
                            raise BadArchive(why)
                        yield _File(entry.name, room.take(entry, MAX_FILE), upload.order, place)
                    except BadArchive as error:
                        refused.append(Refusal(f"{shown(name)}/{shown(entry.name)}", str(error)))
        except BadArchive as error:
            refused.append(Refusal(shown(name), str(error)))


def _junk(name: str) -> str | None:
    return "a hidden file, or one that systems leave behind" if is_junk(name) else None


def _nested(name: str) -> str | None:
    return "a ZIP inside a ZIP" if name.lower().endswith(".zip") else None


def _choose(candidates: list[_File], notebooks: Assignment, result: Unpacked) -> dict[str, _File]:
    """The newest file of each notebook."""
    chosen: dict[str, _File] = {}
    named = [(file, _notebook(file, notebooks)) for file in candidates]
    unknown = [file for file, notebook in named if notebook is None]
    if len(notebooks) == 1 and len(candidates) == 1 and unknown:  # the only one handed in is meant
        only = next(iter(notebooks))
        named = [(unknown.pop(), only)]
        result.notes.append(f"no cell of {only} was found in {shown(candidates[0].path)}, the only notebook handed in")
    result.refused += [Refusal(shown(file.path), "a notebook of something else") for file in unknown]
    for file, notebook in named:
        if notebook is None:
            continue
        before = chosen.get(notebook)
        if before is None or _newness(file, notebook) > _newness(before, notebook):
            chosen[notebook], file = file, before or file
        if before is not None and _digest(file.raw) != _digest(chosen[notebook].raw):
            result.refused.append(Refusal(shown(file.path), f"an older upload of {notebook}.ipynb"))
    return chosen


def _newness(file: _File, notebook: str) -> tuple[int, int, int, str]:
    """What makes one upload the newer: the order that the download states, then a copy's number, then its place."""
    name = PurePosixPath(file.path).stem
    number = None if name == notebook else re.search(r"(?:-|\()(\d{1,3})\)?$", name)
    return file.order, int(number[1]) if number else 0, -file.path.count("/"), file.path


def _notebook(file: _File, notebooks: Assignment) -> str | None:
    """Which notebook of the assignment a file is: by the names of its cells, else by its own name."""
    try:
        cells, _ = read_cells(file.raw)
        grade_ids = {cell.grade_id for cell in cells if cell.grade_id}
    except Unreadable:
        grade_ids = set()
    shares = {name: len(grade_ids & own) for name, own in notebooks.items()}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] * 2 > min(len(grade_ids), len(notebooks[best])):
        return best
    stem = PurePosixPath(file.path).stem
    stems = (stem, re.sub(f"{COPY}$", "", stem))
    return next((name for one in stems for name in notebooks if one == name or one.endswith(f"_{name}")), None)


def _beside(file: _File, homes: dict[int, PurePosixPath | None]) -> str | None:
    """Where a file lies seen from the notebook that came with it; None: with an older one, or outside."""
    path = PurePosixPath(file.path)
    if file.upload not in homes:  # an upload without a notebook: a PDF, a file of data, a ZIP of such
        return path.as_posix()
    home = homes[file.upload]
    if home is None:
        return None
    if path.is_relative_to(home):
        return path.relative_to(home).as_posix()
    return path.name if path.suffix.lower() == ".pdf" else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
