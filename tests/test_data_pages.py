"""Pages of handwriting: true boxes, letters in one piece, the same for everybody."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from skimage import color, filters, measure

from dlcourse.data import Page, text_image, text_images
from dlcourse.errors import CourseError

SHA256 = "0bf30cf1fdd4f7e6016b2d3d5f8ee6e31cce7d74aa519d7e13745f5c1769ce48"


def components(page: Page) -> list[tuple[int, ...]]:
    """Boxes of connected dark pieces, specks left out: the simplest of methods."""
    grey = filters.gaussian(color.rgb2gray(page.image), 0.7)
    pieces = measure.label(grey < filters.threshold_otsu(grey), connectivity=2)
    return [piece.bbox for piece in measure.regionprops(pieces) if piece.area > 60]


def overlap(a: tuple[int, ...], b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    height, width = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(height, 0) * max(width, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def test_four_pages() -> None:
    """RGB in [0, 1], dark on light, a box for each character; the recorded checksum holds here, too."""
    pages = text_images()
    assert [page.name for page in pages] == ["list", "letters", "haiku", "deep"]
    digest = hashlib.sha256()
    for page in pages:
        height, width = page.image.shape[:2]
        assert (page.image.shape, page.image.dtype) == ((height, width, 3), np.float64)
        assert (page.image.min() >= 0, page.image.max() <= 1) == (True, True)
        assert np.median(page.image) > 0.6
        assert page.boxes.shape == (sum(len(line.replace(" ", "")) for line in page.lines), 4)
        assert page.text.split("\n") == list(page.lines)
        digest.update((page.image * 255).round().astype(np.uint8).tobytes() + page.boxes.tobytes())
    assert digest.hexdigest() == SHA256


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_letters_are_whole_and_apart(seed: int) -> None:
    """Connected pieces of ink and true boxes are the same, in every hand, ink and light; no boxes overlap."""
    for page in text_images(seed):
        found = components(page)
        assert len(found) == len(page.boxes)
        for box in page.boxes:
            assert max(overlap(piece, box) for piece in found) > 0.8
        assert not any(overlap(tuple(a), b) for n, a in enumerate(page.boxes) for b in page.boxes[:n])


def test_reading_order() -> None:
    """Boxes run line by line and from left to right; the gap between words is wider than that between letters."""
    page = text_image(["AB CD", "7"], seed=5)
    a, b, c, d, seven = page.boxes
    assert a[3] < b[1] < b[3] < c[1] < d[1]
    assert c[1] - b[3] > 2 * max(b[1] - a[3], d[1] - c[3])
    assert seven[0] > max(page.boxes[:4, 2])


def test_hidden_page() -> None:
    """Another seed draws another page with the same text, and the same seed the same one."""
    one, other = text_image(["HIDDEN"], 1), text_image(["HIDDEN"], 2)
    assert one.lines == other.lines
    assert one.image.shape != other.image.shape or (one.image != other.image).mean() > 0.5
    assert np.array_equal(text_image(["HIDDEN"], 1).image, one.image)


def test_what_cannot_be_written() -> None:
    """Small letters, empty lines and no lines at all are refused."""
    for lines, match in (
        (["Hello"], "holds 'e'"),
        (["A", ""], "empty"),
        (["A  B"], "spaces too many"),
        ([], "one line"),
    ):
        with pytest.raises(CourseError, match=match):
            text_image(lines)
