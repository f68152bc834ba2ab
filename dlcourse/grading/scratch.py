"""The files that one kernel works with, and nothing of this machine's folders in what is kept of it."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePath

import dlcourse
from dlcourse.grading.reading import is_foreign

MAX_FILES = 64 * 2**20  # bytes of files that come with a submission
MAX_COUNT = 10_000  # of them
# Longest first: an environment often lies inside the checkout.
_FOLDERS = sorted({sys.prefix, sys.base_prefix, str(Path(dlcourse.__file__).resolve().parent.parent)}, key=len)[::-1]
_KERNEL_FILE = re.compile(r"/tmp/ipykernel_\d+/")


NO_FILES = bytes(2 * tarfile.BLOCKSIZE)  # the end of a tar archive


def pack(*folders: Path, ignore: Sequence[str] = ()) -> bytes:
    """The files that a notebook may load, as a tar archive; of two with one name that of the earlier folder.

    Left out are notebooks, hidden files, links, pipes and devices, what has a name to ignore, what would have to be a
    file and a folder at once, and what would make it more than ``MAX_FILES`` bytes or ``MAX_COUNT`` files.
    """
    archive = io.BytesIO()
    packed: set[PurePath] = set()
    above: set[PurePath] = set()  # folders that what is packed lies in
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in folders:
            for source in _files(folder):
                name = source.relative_to(folder)
                ignored = any(fnmatch(part, pattern) for part in name.parts for pattern in ignore)
                taken = name in packed or name in above or not packed.isdisjoint(name.parents)
                if not ignored and not taken and len(packed) < MAX_COUNT:
                    tar.add(source, name, recursive=False)
                    packed.add(name)
                    above.update(name.parents)
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


def unpack(archive: bytes, folder: Path) -> None:
    """Write the files of an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def _files(files: Path) -> Iterator[Path]:
    total = 0
    for where, _, names in os.walk(files):
        for name in sorted(names):
            source = Path(where) / name
            status = source.lstat()
            hidden = any(part.startswith(".") for part in source.relative_to(files).parts)
            if is_foreign(source) or source.suffix.lower() == ".ipynb" or hidden:
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
