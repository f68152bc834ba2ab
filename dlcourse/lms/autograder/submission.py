"""What a learner uploaded: notebooks and files, loose or in a ZIP, taken out within limits. All of it is hostile."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from nbformat import NotebookNode

from dlcourse.grading.reading import Unreadable, read_cells

MAX_ENTRIES = 500
MAX_BYTES = 64 * 2**20  # of all files together, unpacked
_SKIPPED = ("__MACOSX", ".ipynb_checkpoints", "__pycache__")


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
        elif _hidden(PurePosixPath(name)):
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


def _hidden(name: PurePosixPath) -> bool:
    return any(part.startswith(".") or part in _SKIPPED for part in name.parts)


def _unpack(path: Path, target: Path, left: int, notes: list[str]) -> int:
    """Unpack a ZIP next to the loose files; return how many bytes may still come."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MAX_ENTRIES:
                notes.append(f"{path.name}: {len(entries)} entries; at most {MAX_ENTRIES} are unpacked")
            for entry in entries[:MAX_ENTRIES]:
                if why := _refused(entry):
                    notes.append(f"{path.name}: {entry.filename[:80]!r} {why}")
                    continue
                if _hidden(PurePosixPath(entry.filename)):
                    continue
                with archive.open(entry) as opened:
                    content = opened.read(left + 1)  # what it holds, whatever size it states
                if len(content) > left:
                    notes.append(f"{path.name}: more than {MAX_BYTES // 2**20} MiB in all")
                    return left
                left -= len(content)
                _put(content, target, entry.filename, notes)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, RuntimeError, EOFError) as error:
        notes.append(f"{path.name}: cannot be unpacked ({type(error).__name__})")
    except Exception as error:  # a compressed stream can be broken in ways of its own
        notes.append(f"{path.name}: is damaged ({type(error).__name__})")
    return left


def _refused(entry: zipfile.ZipInfo) -> str:
    name = PurePosixPath(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if name.is_absolute() or ".." in name.parts or "\\" in entry.filename or ":" in entry.filename:
        return "leads out of the archive"
    if kind not in (0, stat.S_IFREG):
        return "is a link or no regular file"
    if entry.flag_bits & 1:
        return "is encrypted"
    return ""


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
