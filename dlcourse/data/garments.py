"""Garments in the form of Fashion-MNIST, each drawn to its own measures: outline, sleeves, heels, cloth.

What is random comes from generators whose streams are fixed for good (``random.Random``, ``RandomState``), coordinates
are rounded to whole pixels before anything is drawn, and cloth is woven in integers: the pictures are the same on
every machine.
"""

from __future__ import annotations

import random

import numpy as np

from dlcourse.data.tailor import FINE, SIZE, Tailor
from dlcourse.data.wardrobe import DRAW

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def garments(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``number`` garments in random order, each class equally often if ``number`` is divisible by 10.

    Returns:
        Images, uint8, shape (number, 28, 28), and labels, int64, shape (number,): indices in ``FASHION``.
    """
    labels = np.random.RandomState(seed).permutation(np.arange(number) % len(FASHION))
    drawn = np.stack([_drawn(random.Random(f"{seed} {index}"), label) for index, label in enumerate(labels)])
    return _woven(drawn, seed), labels.astype(np.int64)


def _drawn(rng: random.Random, label: int) -> np.ndarray:
    tailor = Tailor(rng)
    DRAW[label](tailor)
    return np.asarray(tailor.image.reduce(FINE))


def _woven(images: np.ndarray, seed: int) -> np.ndarray:
    """Stripes, checks, a fall of light and a grain for every piece of cloth, all in integers."""
    rng = np.random.RandomState(seed + 1)
    number = len(images)

    def draw(low: int, high: int) -> np.ndarray:
        return rng.randint(low, high, (number, 1, 1), np.int64)

    down, across = np.arange(SIZE).reshape(1, -1, 1), np.arange(SIZE).reshape(1, 1, -1)
    kind, step, shift = draw(0, 14), draw(3, 8), draw(0, 8)
    rows, columns = (2 * ((axis + shift) % step) < step for axis in (down, across))
    pattern = np.where(kind == 0, rows, np.where(kind == 1, columns, (kind == 2) & (rows ^ columns)))
    light = draw(-5, 6) * (across - SIZE // 2) + draw(-4, 5) * (down - SIZE // 2)  # in 1/256
    grain = rng.randint(-12, 13, images.shape, np.int64) * draw(0, 3)
    lit = images * (256 + light + grain - pattern * draw(20, 110)) >> 8
    return np.clip(lit, 0, 255).astype(np.uint8)
