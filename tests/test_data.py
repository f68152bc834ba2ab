"""Data that ships, a folder of one's own, and what is said when it does not work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcourse.data import mnist, photos
from dlcourse.errors import CourseError


def test_shipped_photographs() -> None:
    """Twelve photographs are there without a network, all RGB, always in the same order."""
    found = photos()
    assert len(found) == 12
    assert {image.mode for image in found} == {"RGB"}
    assert [image.size for image in found] == [image.size for image in photos()]
    assert min(min(image.size) for image in found) >= 150


def test_own_folder(tmp_path: Path) -> None:
    """Pictures of any mode come as RGB, sorted by name, upright; hidden files and folders are left out."""
    Image.new("L", (30, 20), 100).save(tmp_path / "b.png")
    Image.new("RGBA", (10, 40), (1, 2, 3, 4)).save(tmp_path / "a.png")
    turned = Image.new("RGB", (50, 25))
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was held upright
    turned.save(tmp_path / "c.jpg", exif=exif)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "sub").mkdir()
    found = photos(tmp_path)
    assert [(image.mode, image.size) for image in found] == [("RGB", (10, 40)), ("RGB", (30, 20)), ("RGB", (25, 50))]


def test_bad_folders(tmp_path: Path) -> None:
    """A missing folder, an empty one and a file that is no picture are each named."""
    with pytest.raises(CourseError, match=r"no folder .*nowhere"):
        photos(tmp_path / "nowhere")
    with pytest.raises(CourseError, match="is empty"):
        photos(tmp_path)
    (tmp_path / "notes.txt").write_text("no picture", "utf-8")
    with pytest.raises(CourseError, match=r"notes\.txt is not a picture"):
        photos(tmp_path)


def test_digits() -> None:
    """Every class is about as frequent as in MNIST, the ink as dense, the frame of four pixels black."""
    for split, number in (("train", 1500), ("test", 297)):
        images, labels = mnist(split)
        assert (images.shape, images.dtype, labels.shape) == ((number, 28, 28), np.uint8, (number,))
        counts = np.bincount(labels, minlength=10) / number
        assert counts.min() > 0.08
        assert counts.max() < 0.12
        assert abs(images.mean() / 255 - 0.1307) < 0.04
        assert not images[:, :4].any()
        assert not images[:, :, -4:].any()


def test_no_such_split() -> None:
    """A misspelt split is named."""
    with pytest.raises(CourseError, match='no split "validation"'):
        mnist("validation")  # type: ignore[arg-type]
