"""The real data sets, downloaded by torchvision when they are first used, kept only when whole."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from zlib import error as ZlibError

import numpy as np
from filelock import FileLock

from dlcourse.errors import CourseError

Split = Literal["train", "test"]

SILENCE = 60.0  # seconds after which a server that sends nothing is given up
# What torchvision raises for a missing, broken or truncated file, an assertion about its head among it.
_BROKEN = (AssertionError, EOFError, HTTPException, KeyError, OSError, RuntimeError, ValueError, ZlibError)


def checked(split: str) -> None:
    """Raise a CourseError unless there is such a split."""
    if split not in ("train", "test"):
        raise CourseError(f'There is no split "{split}". Take "train" or "test".')


def downloaded(name: str, split: Split, folder: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of ``torchvision.datasets.<name>``: uint8, shape (N, 28, 28), and int64, shape (N,).

    Files that torchvision has put into ``folder`` before are used; broken ones are replaced.
    """
    from torchvision import datasets

    kind, folder = getattr(datasets, name), Path(folder).expanduser()
    try:
        return _read(kind, split, folder)
    except _BROKEN:
        pass
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{name}.lock"):
            return _fetched(kind, split, folder)
    except _BROKEN as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise CourseError(
            f"{name} could not be had: {reason}. What arrived was thrown away: call again, or put torchvision's "
            f"files into {folder}. Without a network take full=False, the data that ship."
        ) from error


def _fetched(kind: Any, split: Split, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Download into a folder of its own, and put that in place when it can be read."""
    try:
        return _read(kind, split, folder)  # another process was first
    except _BROKEN:
        pass
    unfinished = folder / f".{kind.__name__}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a download that was killed
    try:
        with _patience():
            kind(str(unfinished), download=True)
        for each in ("train", "test"):
            _read(kind, each, unfinished)
        place = folder / kind.__name__
        shutil.rmtree(place, ignore_errors=True)
        (unfinished / kind.__name__).rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return _read(kind, split, folder)


def _read(kind: Any, split: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    found = kind(str(folder), train=split == "train", download=False)
    images, labels = found.data.numpy(), found.targets.numpy()
    if images.shape != (len(labels), 28, 28) or not len(labels):
        raise ValueError(f"images of shape {images.shape} and labels of shape {labels.shape} do not belong together")
    return images, labels


@contextmanager
def _patience() -> Iterator[None]:
    """A limit for connections that say nothing, which torchvision does not set."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
