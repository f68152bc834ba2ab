"""Handwritten digits: the 1,797 that ship with scikit-learn, in the form of MNIST, or MNIST itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from dlcourse.data.cache import CACHE
from dlcourse.data.downloads import Split, checked, downloaded

TRAIN = 1500  # of the digits that ship; the other 297 are for testing


def mnist(split: Split = "train", *, full: bool = False, folder: str | Path = CACHE) -> tuple[np.ndarray, np.ndarray]:
    """Read handwritten digits.

    Args:
        split: "train" or "test".
        full: MNIST itself (60,000 and 10,000 images; LeCun et al. 1998), downloaded by torchvision when it is first
            used. By default the digits that ship with scikit-learn (1,500 and 297; Alpaydin & Kaynak 1998), enlarged
            from 8 × 8 to the 20 × 20 pixels that MNIST's digits have in the middle of their 28 × 28.
        folder: where a download is kept.

    Returns:
        Images, uint8, 0 black and 255 white ink, shape (N, 28, 28), and labels 0 … 9, int64, shape (N,).

    Raises:
        CourseError: no such split, or the download failed.
    """
    checked(split)
    if full:
        return downloaded("MNIST", split, folder)
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    chosen = slice(TRAIN) if split == "train" else slice(TRAIN, None)
    large = np.stack([_enlarged(image) for image in images[chosen].reshape(-1, 8, 8)])
    return large, labels[chosen].astype(np.int64)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """One digit, 0 … 16, shape (8, 8), in the middle of a black uint8 picture, shape (28, 28)."""
    ink = Image.fromarray((image * (255 / 16)).astype(np.uint8))
    return np.pad(np.asarray(ink.resize((20, 20), Image.Resampling.BICUBIC)), 4)
