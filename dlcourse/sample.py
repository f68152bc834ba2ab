"""The sample class that ships with the course: made-up submissions, named for what they show."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

MANIFEST = Path(__file__).with_name("sample.json")


def is_shipped(submission: Path) -> bool:
    """Whether a submitted notebook is, byte for byte, one that ships with the course, and lies alone in its folder."""
    try:
        if (
            any(path != submission for path in submission.parent.rglob("*"))
            or submission.is_symlink()
            or submission.stat().st_size > 2**20
        ):
            return False
        known = json.loads(MANIFEST.read_text("utf-8"))
        return hashlib.sha256(submission.read_bytes()).hexdigest() in known["sha256"]
    except OSError:
        return False
