"""Garments: the same for everybody, in the form of Fashion-MNIST, kept on disk only when whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dlcourse.data import FASHION, fashion_mnist
from dlcourse.data.cache import cached
from dlcourse.data.garments import garments

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # SHA-256 of b"hello"


def test_garments(tmp_path: Path) -> None:
    """Ten classes equally often; grey levels about as in the real set; the recorded checksums hold here, too."""
    for split, number in (("train", 8000), ("test", 2000)):
        images, labels = fashion_mnist(split, folder=tmp_path)  # a checksum that differs would warn
        assert (images.shape, images.dtype, labels.dtype) == ((number, 28, 28), np.uint8, np.int64)
        assert np.bincount(labels).tolist() == [number // 10] * len(FASHION)
        assert abs(images.mean() / 255 - 0.286) < 0.03
        assert abs(images.std() / 255 - 0.353) < 0.03
        again, _ = fashion_mnist(split, folder=tmp_path)
        assert np.array_equal(images, again)
        images[:] = 0  # what was read can be written to


def test_seeds_differ() -> None:
    """Another seed draws other garments, and no garment of the test split is one of the training split."""
    some, others = garments(40, 3)[0], garments(40, 4)[0]
    assert not (some[:, None] == others[None]).all(axis=(2, 3)).any()


def test_neighbours_among_classes() -> None:
    """A shirt looks like the other tops more than like anything else, as it does in the real set."""
    images, labels = garments(1200, 5)
    means = np.stack([images[labels == label].mean(0) for label in range(10)])
    distances = ((means - means[6]) ** 2).sum((1, 2))
    assert set(np.argsort(distances)[1:4]) == {0, 2, 4}


def test_cache(tmp_path: Path) -> None:
    """Truncated and changed files are made again; a whole one is not."""
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"hello"

    path = tmp_path / "new" / "greeting"
    for damage in (None, b"hell", b"hallo", b""):
        if damage is not None:
            path.write_bytes(damage)
        count = len(made)
        assert cached("greeting", HELLO, make, path.parent) == b"hello"
        assert cached("greeting", HELLO, make, path.parent) == b"hello"
        assert (path.read_bytes(), len(made)) == (b"hello", count + 1)
    assert [file.name for file in path.parent.iterdir()] == ["greeting"]


def test_cache_written_at_once(tmp_path: Path) -> None:
    """Many at once leave one whole file, and nobody reads half of one."""
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: cached("greeting", HELLO, lambda: b"hello", tmp_path), range(64)))
    assert set(read) == {b"hello"}
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("greeting", b"hello")]


def test_cache_cannot_be_written(tmp_path: Path) -> None:
    """A file in the folder's place, or a full disk, costs time only."""
    (tmp_path / "taken").write_text("x", "utf-8")
    assert cached("greeting", HELLO, lambda: b"hello", tmp_path / "taken") == b"hello"


def test_other_content_is_not_kept(tmp_path: Path) -> None:
    """Content that differs from the recorded one is used with a warning and never kept."""
    with pytest.warns(UserWarning, match="greeting is made a little differently here"):
        assert cached("greeting", HELLO, lambda: b"hi", tmp_path) == b"hi"
    assert not list(tmp_path.iterdir())
