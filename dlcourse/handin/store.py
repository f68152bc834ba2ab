"""Put a submission into ``submitted/STUDENT/ASSIGNMENT/``: all of it at once, the newest kept, nobody's work lost."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcourse.course import Course

RECORD = ".collected.json"  # beside the submission: where it came from, so that an older download does not replace it
TIMESTAMP = "timestamp.txt"  # nbgrader's name and format


@dataclass(frozen=True)
class Origin:
    """Where a submission came from."""

    source: str  # canvas, gradescope or folder
    label: str
    order: int  # of two downloads from one source the larger is newer
    submitted: datetime.datetime | None
    late: bool


def place(
    course: Course, assignment: str, student: str, files: dict[str, Path], origin: Origin, *, force: bool, dry_run: bool
) -> str:
    """Put the files in place.

    Returns:
        What was done, or would be: ``new``, ``updated``, ``unchanged``; ``older`` where a newer one lies there;
        ``edited`` where what lies there was not put there by this command, which is then left alone.
    """
    target = course.path("submitted", assignment, student)
    wanted = {name: _digest(path) for name, path in files.items()}
    stamp = f"{origin.submitted.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S.%f} UTC\n" if origin.submitted else None
    if stamp:
        wanted[TIMESTAMP] = hashlib.sha256(stamp.encode()).hexdigest()
    state = _compare(target, wanted, origin)
    if state in ("older", "edited") and force:
        state = "updated"
    if state not in ("new", "updated") or dry_run:
        return state
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".collect-", dir=target.parent.parent) as folder:
        made = Path(folder) / "made"
        for name, path in files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, made / name)
        if stamp:
            (made / TIMESTAMP).write_text(stamp, "utf-8")
        record = {
            "from": origin.source,
            "label": origin.label,
            "order": origin.order,
            "late": origin.late,
            "files": wanted,
        }
        (made / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
        if target.exists():
            target.rename(Path(folder) / "old")
        made.rename(target)
    return state


def _compare(target: Path, wanted: dict[str, str], origin: Origin) -> str:
    if target.is_symlink() or target.parent.is_symlink():
        return "edited"
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return "new"
    there = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if path.is_file()}
    record = _record(there.pop(RECORD, None))
    links = any(path.is_symlink() for path in target.rglob("*"))
    digests = {name: _digest(path) for name, path in there.items()}
    if digests == wanted and not links:
        return "unchanged"
    if record is None or digests != record.get("files") or links:
        return "edited"
    order = record.get("order")
    if record.get("from") == origin.source and isinstance(order, int) and order > origin.order:
        return "older"
    return "updated"


def _record(path: Path | None) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text("utf-8")) if path else None
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def writable(course: Course, assignment: str) -> Path:
    """The folder ``submitted/``, made if it is missing; raises OSError where it cannot be written to."""
    folder = course.path("submitted", assignment, "x").parent.parent
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, "cannot be written to", str(folder))
    return folder
