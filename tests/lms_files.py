"""Downloads of a class in the formats of Canvas and Gradescope, made on the spot: no binary files in the repository.

Canvas's names follow `lib/content_zipper.rb` of its source; Gradescope's metadata is YAML with Ruby's symbols as keys.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import yaml

NOON = (2025, 4, 18, 12, 0, 0)


def zip_bytes(files: dict[str, bytes], date: tuple[int, int, int, int, int, int] = NOON) -> bytes:
    """A ZIP of files by name."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, date)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return made.getvalue()


class Canvas:
    """Canvas's "Download Submissions": `upload`, `text` and `link` add what a learner handed in."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def upload(
        self, sortable: str, user: int, attachment: int, name: str, content: bytes, *, late: bool = False
    ) -> None:
        shown = re.sub(r'[\x00/\\:*?"<>|]+', "_", name)
        self._add(f"{self._who(sortable, user, late)}_{attachment}_{shown}", content)

    def anonymous(self, anonymous_id: str, attachment: int, name: str, content: bytes, *, late: bool = False) -> None:
        self._add(f"{'LATE_' if late else ''}anon_{anonymous_id}_{attachment}_{name}", content)

    def text(self, sortable: str, user: int) -> None:
        self._add(f"{self._who(sortable, user, False)}_text.html", b"<h1>My answer</h1>")

    def link(self, sortable: str, user: int) -> None:
        self._add(f"{self._who(sortable, user, False)}_link.html", b"<a href='https://example.org'>here</a>")

    def save(self, path: Path) -> Path:
        path.write_bytes(zip_bytes(self.files))
        return path

    def _who(self, sortable: str, user: int, late: bool) -> str:
        parts = [sortable.lower(), *(["LATE"] if late else []), str(user)]
        return re.sub(r"[^\w\u0300-\u036f]", "", "_".join(parts))

    def _add(self, name: str, content: bytes) -> None:
        stem, dot, suffix = name.rpartition(".")
        number = 1
        while name in self.files:
            name, number = f"{stem}-{number}{dot}{suffix}", number + 1
        self.files[name] = content


class Gradescope:
    """Gradescope's "Export Submissions" of a programming assignment."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.records: dict[str, Any] = {}

    def submit(self, number: int, people: list[tuple[str, str, str]], created: str, files: dict[str, bytes]) -> None:
        """``people``: (name, sid, email) of each member of the team; ``created``: as Rails writes a time."""
        key = f"submission_{number}"
        self.records[key] = {
            ":submitters": [{":name": name, ":sid": sid or None, ":email": email} for name, sid, email in people],
            ":created_at": yaml.safe_load(created),
            ":score": 12.0,
            ":status": "processed",
            ":results": {"tests": [{"name": "q1", "score": 1.0, "max_score": 2.0}]},
            ":history": [],
        }
        self.files |= {f"{key}/{name}": content for name, content in files.items()}

    def save(self, path: Path, root: str = "assignment_4252_export/") -> Path:
        files = {f"{root}{name}": content for name, content in self.files.items()}
        metadata = yaml.safe_dump(self.records, sort_keys=False, allow_unicode=True).encode()
        path.write_bytes(zip_bytes({f"{root}submission_metadata.yml": metadata, **files}))
        return path
