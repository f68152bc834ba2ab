"""What takes a second to make is kept on disk, and read again only if it is byte for byte what it should be."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

CACHE = Path("~/.cache/dlcourse")  # where downloads, and what was made here, are kept


def cached(name: str, checksum: str, make: Callable[[], bytes], folder: str | Path = CACHE) -> bytes:
    """Read a file of the cache, or make its content and keep it.

    A file that is truncated or changed is made again. Many processes may do this at once: each writes a file of its
    own and puts it in place when it is whole. A folder that cannot be written to costs time only.

    Args:
        name: of the file.
        checksum: SHA-256 of the content, hexadecimal. Content that differs is used, with a warning, and not kept.
    """
    path = Path(folder).expanduser() / name
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == checksum:
            return content
    content = make()
    made = hashlib.sha256(content).hexdigest()
    if made != checksum:
        warnings.warn(
            f"{name} is made a little differently here ({made[:12]}… instead of {checksum[:12]}…). Figures may differ "
            "from those of others; the versions in requirements.lock give the same data to all.",
            stacklevel=3,
        )
        return content
    with contextlib.suppress(OSError):
        _put(path, content)
    return content


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        unfinished = Path(file.name)
        try:
            file.write(content)
            file.close()
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
