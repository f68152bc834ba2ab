"""The folder that one kernel works in, and nothing of this machine's folders in what is kept of it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dlcourse

MAX_FILES = 64 * 2**20  # bytes of files that come with a submission
# Longest first: an environment often lies inside the checkout.
_FOLDERS = sorted({sys.prefix, sys.base_prefix, str(Path(dlcourse.__file__).resolve().parent.parent)}, key=len)[::-1]
_KERNEL_FILE = re.compile(r"/tmp/ipykernel_\d+/")


@contextmanager
def scratch_folder(files: Path | None) -> Iterator[Path]:
    """A private folder for one kernel, with copies of the submission's files; short, as socket paths must be."""
    path = Path(tempfile.mkdtemp(prefix="dlc-"))
    try:
        if files is not None:
            _copy(files, path)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _copy(files: Path, target: Path) -> None:
    total = 0
    for folder, _, names in os.walk(files):
        for name in names:
            source = Path(folder) / name
            status = source.lstat()
            hidden = any(part.startswith(".") for part in source.relative_to(files).parts)
            if not stat.S_ISREG(status.st_mode) or source.suffix.lower() == ".ipynb" or hidden:
                continue
            total += status.st_size
            if total > MAX_FILES:
                return
            copy = target / source.relative_to(files)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


def without_folders(text: str, scratch: Path) -> str:
    """Shorten the paths of this machine in an output or a traceback."""
    for folder in (scratch, *_FOLDERS):
        text = text.replace(f"{folder}/", "…/")
    return _KERNEL_FILE.sub("", text)
