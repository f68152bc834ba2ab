"""Garments: ten classes drawn on the spot in the form of Fashion-MNIST, or Fashion-MNIST itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlcourse.data.cache import CACHE, cached
from dlcourse.data.downloads import Split, checked, downloaded
from dlcourse.data.garments import garments
from dlcourse.data.tailor import SIZE

_SEED = {"train": 0, "test": 1}
_NUMBER = {"train": 8000, "test": 2000}
_CHECKSUM = {
    "train": "0387bfa6c6b8dcf40572852f69cf12aa44fba772a5681be4afcbd5bfb962c149",
    "test": "e0e7c2e6274c737f124c4aacdf42098265f18ed1e5c3a7f5957b1d453ae28caf",
}


def fashion_mnist(
    split: Split = "train", *, full: bool = False, folder: str | Path = CACHE
) -> tuple[np.ndarray, np.ndarray]:
    """Read garments; the names of the classes are in ``FASHION``.

    Args:
        split: "train" or "test".
        full: Fashion-MNIST itself (60,000 and 10,000 photographs; Xiao et al. 2017), downloaded by torchvision when it
            is first used. By default 8,000 and 2,000 drawn garments of the same ten classes, as often as one another.
        folder: where a download, or what was drawn, is kept.

    Returns:
        Images, uint8, 0 the black ground, shape (N, 28, 28), and labels 0 … 9, int64, shape (N,).

    Raises:
        CourseError: no such split, or the download failed.
    """
    checked(split)
    if full:
        return downloaded("FashionMNIST", split, folder)
    number = _NUMBER[split]

    def make() -> bytes:
        images, labels = garments(number, _SEED[split])
        return labels.astype(np.uint8).tobytes() + images.tobytes()

    content = np.frombuffer(cached(f"fashion_mnist-{split}", _CHECKSUM[split], make, folder), np.uint8)
    return content[number:].reshape(number, SIZE, SIZE).copy(), content[:number].astype(np.int64)
