"""The sample class that ships with the course: made-up submissions, named for what they show."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

MAX_SIZE = 2**21  # bytes; a shipped notebook is smaller
MANIFEST = Path(__file__).with_name("sample.json")


def is_shipped(submission: Path) -> bool:
    """Whether a submitted notebook is, byte for byte, one that ships with the course, and so is all beside it."""
    try:
        known = set(json.loads(MANIFEST.read_text("utf-8"))["sha256"])
        return submission.exists() and all(_digest(path) in known for path in submission.parent.rglob("*"))
    except OSError:
        return False


def _digest(path: Path) -> str:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_SIZE:
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()
