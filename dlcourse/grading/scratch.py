"""The files that one kernel works with, and nothing of this machine's folders in what is kept of it."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import dlcourse

MAX_FILES = 64 * 2**20  # bytes of files that come with a submission
# Longest first: an environment often lies inside the checkout.
_FOLDERS = sorted({sys.prefix, sys.base_prefix, str(Path(dlcourse.__file__).resolve().parent.parent)}, key=len)[::-1]
_KERNEL_FILE = re.compile(r"/tmp/ipykernel_\d+/")


NO_FILES = bytes(2 * tarfile.BLOCKSIZE)  # the end of a tar archive


def pack(*folders: Path, ignore: Sequence[str] = ()) -> bytes:
    """The files that a notebook may load, as a tar archive; of two with one name that of the earlier folder.

    Left out are notebooks, hidden files, links, pipes and devices, what has a name to ignore, and what would make it
    larger than ``MAX_FILES``.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in folders:
            for source in _files(folder):
                name = source.relative_to(folder)
                ignored = any(fnmatch(part, pattern) for part in name.parts for pattern in ignore)
                if not ignored and name.as_posix() not in tar.getnames():
                    tar.add(source, name, recursive=False)
    return archive.getvalue()


@contextmanager
def folder(files: Path) -> Iterator[Path]:
    """A folder with copies of the files that a notebook may load."""
    with tempfile.TemporaryDirectory(prefix="dlc-", ignore_cleanup_errors=True) as made:
        for source in _files(files):
            copy = Path(made) / source.relative_to(files)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        yield Path(made)


def _files(files: Path) -> Iterator[Path]:
    total = 0
    for where, _, names in os.walk(files):
        for name in sorted(names):
            source = Path(where) / name
            status = source.lstat()
            hidden = any(part.startswith(".") for part in source.relative_to(files).parts)
            if not stat.S_ISREG(status.st_mode) or source.suffix.lower() == ".ipynb" or hidden:
                continue
            total += status.st_size
            if total > MAX_FILES:
                return
            yield source


def without_folders(text: str, scratch: str) -> str:
    """Shorten the paths of this machine in an output or a traceback."""
    for folder in (scratch, *_FOLDERS):
        text = text.replace(f"{folder}/", "…/")
    return _KERNEL_FILE.sub("", text)
