"""What a learner uploaded: notebooks and files, loose or in a ZIP, taken out within limits. All of it is hostile."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from nbformat import NotebookNode

from dlcourse.grading.reading import Unreadable, read_cells
from dlcourse.handin.archive import MAX_ENTRIES, BadArchive, opened
from dlcourse.handin.paths import is_junk

MAX_BYTES = 64 * 2**20  # of all files together, unpacked


def take_out(submission: Path, target: Path) -> list[str]:
    """Copy regular files into ``target``, those inside of ZIPs too. What lies there already, the course's data, stays.

    Returns:
        What was left out, with the reason.
    """
    notes: list[str] = []
    left = MAX_BYTES
    entries = [path for path in sorted(submission.rglob("*")) if not path.is_dir() or path.is_symlink()]
    if len(entries) > MAX_ENTRIES:
        notes.append(f"{len(entries) - MAX_ENTRIES} files beyond the first {MAX_ENTRIES} were left out")
    for path in entries[:MAX_ENTRIES]:
        name = path.relative_to(submission).as_posix()
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            notes.append(f"{name}: not a regular file")
        elif is_junk(name):
            continue
        elif path.suffix.lower() == ".zip":
            left = _unpack(path, target, left, notes)
        elif status.st_size > left:
            notes.append(f"{name}: more than {MAX_BYTES // 2**20} MiB in all")
        else:
            left -= status.st_size
            _put(path.read_bytes(), target, name, notes)
    return notes


def _put(content: bytes, target: Path, name: str, notes: list[str]) -> None:
    place = target / name
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            file.write(content)
    except (OSError, ValueError):
        notes.append(f"{name[:80]!r}: left out, there is a file of that name already, or it cannot be one")


def _unpack(path: Path, target: Path, left: int, notes: list[str]) -> int:
    """Unpack a ZIP next to the loose files; return how many bytes may still come."""
    try:
        with opened(path, MAX_ENTRIES) as (entries, refused):
            notes += [f"{path.name}: {one.name[:80]!r} {one.why}" for one in refused]
            for entry in entries:
                if is_junk(entry.name):
                    continue
                try:
                    content = entry.read(left)
                except BadArchive as error:
                    notes.append(f"{path.name}: {entry.name[:80]!r} {error}")
                    continue
                left -= len(content)
                _put(content, target, entry.name, notes)
    except BadArchive as error:
        notes.append(f"{path.name}: {error}")
    return left


def find_notebooks(folder: Path, releases: Mapping[str, NotebookNode]) -> tuple[dict[str, Path], list[str]]:
    """Which uploaded file is which notebook of the assignment: by its name, else by the graded cells that it holds.

    Returns:
        The files by the notebook's name, and notes on the notebooks that are none of the assignment's.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".ipynb" and path.is_file())
    found: dict[str, Path] = {}
    for name in releases:
        same = [path for path in files if path.stem.casefold() == name.casefold()]
        if same:
            found[name] = min(same, key=lambda path: len(path.parts))
    free = [path for path in files if path not in found.values()]
    for name in [name for name in releases if name not in found]:
        shares = {path: _share(path, releases[name]) for path in free}
        best = max(free, key=lambda path: shares[path], default=None)
        if best is not None and (shares[best] > 0 or len(releases) == len(free) == 1):
            found[name] = best
            free.remove(best)
    return found, [f"{path.relative_to(folder)}: not a notebook of this assignment, or one too many" for path in free]


def _share(path: Path, release: NotebookNode) -> float:
    """The share of the release's cells with a name that a file has."""
    names = {c.metadata.nbgrader.grade_id for c in release.cells if "nbgrader" in c.metadata}
    try:
        cells, _ = read_cells(path)
    except Unreadable:
        return 0.0
    return len(names & {cell.grade_id for cell in cells}) / max(1, len(names))
