"""The real data sets, downloaded by torchvision when they are first used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from dlcourse.errors import CourseError

Split = Literal["train", "test"]


def checked(split: str) -> None:
    """Raise a CourseError unless there is such a split."""
    if split not in ("train", "test"):
        raise CourseError(f'There is no split "{split}". Take "train" or "test".')


def downloaded(name: str, split: Split, folder: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of ``torchvision.datasets.<name>``: uint8, shape (N, 28, 28), and int64, shape (N,)."""
    from torchvision import datasets

    try:
        found = getattr(datasets, name)(str(Path(folder).expanduser()), train=split == "train", download=True)
    except (OSError, RuntimeError) as error:
        raise CourseError(
            f"{name} could not be had: {error}. Without a network take full=False, the data that ship."
        ) from error
    return found.data.numpy(), found.targets.numpy()
