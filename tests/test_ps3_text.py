"""The solution of ps3_recognition/text_extraction against brute force, another way of labelling, and true pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notebooks import solution
from scipy import ndimage

from dlcourse.data import LETTERS, letter_network, nist36, text_image
from dlcourse.data.nist import WEIGHTS

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "source" / "ps3_recognition" / "text_extraction.ipynb"
T = solution(NOTEBOOK, "q5_given", "q5_letters_right")
coordinates = st.integers(0, 12)
boxes = st.lists(st.tuples(coordinates, coordinates, st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5)


@given(boxes, boxes)
@settings(max_examples=60, deadline=None)
def test_intersection_over_union(first: list[tuple[int, ...]], second: list[tuple[int, ...]]) -> None:
    """Counting the pixels of painted boxes gives the same."""
    pairs = [np.array([[y, x, y + h, x + w] for y, x, h, w in some]) for some in (first, second)]
    masks = []
    for some in pairs:
        painted = np.zeros((len(some), 24, 24), bool)
        for mask, (y1, x1, y2, x2) in zip(painted, some, strict=True):
            mask[y1:y2, x1:x2] = True
        masks.append(painted)
    both = masks[0][:, None] & masks[1][None]
    either = masks[0][:, None] | masks[1][None]
    counted = both.sum(axis=(2, 3)) / either.sum(axis=(2, 3))
    np.testing.assert_allclose(T["intersection_over_union"](*pairs), counted)


@pytest.mark.parametrize("seed", range(20, 26))
def test_pages_that_nobody_has_seen(seed: int) -> None:
    """Boxes, rows and text of other hands, inks and lights: all letters boxed and in order, at least 80 % right."""
    page = text_image(["PACK MY BOX WITH", "FIVE DOZEN 1047", "JUGS Q"], seed)
    bboxes, bw = T["findLetters"](page.image)
    in_order = np.array([box for row in T["find_rows"](bboxes) for box in row])
    assert in_order.shape == page.boxes.shape
    assert T["intersection_over_union"](in_order, page.boxes).diagonal().min() > 0.6
    read = T["read_page"](page.image, letter_network())
    assert list(map(len, read.split("\n"))) == [13, 13, 5]
    assert T["letters_right"](read, page.text) >= 0.8
    assert np.array_equal(bw, bw.astype(bool)) and 0 < bw.mean() < 0.3


def test_letters_are_pieces_of_ink() -> None:
    """SciPy's labelling of the white pixels finds the same boxes."""
    bboxes, bw = T["findLetters"](text_image(["SAME 28", "PIECES"], 31).image)
    labels, _ = ndimage.label(bw, np.ones((3, 3)))
    sizes = ndimage.sum_labels(bw, labels, range(1, labels.max() + 1))
    found = [slices for slices, size in zip(ndimage.find_objects(labels), sizes, strict=True) if size > 60]
    assert sorted([y.start, x.start, y.stop, x.stop] for y, x in found) == sorted(bboxes)


def test_crops_have_the_form_of_the_training_images() -> None:
    """A training image whose letter is cut out and cropped again is read as before, in most cases."""
    rows, one_hot = nist36("test")
    rows, labels = rows[:300], one_hot[:300].argmax(axis=1)
    again = []
    for row in rows:
        page = np.pad(row.reshape(32, 32).T, 20)
        ys, xs = np.nonzero(page > 0.5)
        again.append(T["crop"](page, [ys.min(), xs.min(), ys.max() + 1, xs.max() + 1]))
    params = letter_network()

    def right(X: np.ndarray) -> Any:
        probs = T["forward"](T["forward"](X, params, "layer1"), params, "output", T["softmax"])
        return np.mean(probs.argmax(axis=1) == labels)

    assert right(rows) > 0.82
    assert right(np.stack(again)) > right(rows) - 0.06


def test_the_network_that_ships() -> None:
    """Its form is that of the assignment; its accuracy is what its log, docs/data.md and the notebook say: 86 %."""
    params = letter_network()
    shapes = {"Wlayer1": (1024, 64), "blayer1": (64,), "Woutput": (64, 36), "boutput": (36,)}
    assert {name: (values.shape, values.dtype) for name, values in params.items()} == {
        name: (shape, np.float64) for name, shape in shapes.items()
    }
    X, one_hot = nist36("valid")
    probs = T["forward"](T["forward"](X, params, "layer1"), params, "output", T["softmax"])
    accuracy = np.mean(probs.argmax(axis=1) == one_hot.argmax(axis=1))
    log = json.loads(WEIGHTS.with_suffix(".json").read_text("utf-8"))
    assert accuracy == pytest.approx(log["accuracy, valid"], abs=5e-4)
    assert f"{accuracy:.1%} of the validation characters".replace("%", " %") in (ROOT / "docs" / "data.md").read_text()
    assert accuracy == pytest.approx(0.86, abs=0.005)
    assert len(LETTERS) == probs.shape[1]


def test_letters_right() -> None:
    """A letter too many or too few shifts nothing; spaces and line ends do not count."""
    share = T["letters_right"]
    assert share("ABC D\nE", "AB CDE") == 1
    assert share("ABXDE", "ABCDE") == 0.8
    assert share("ABDE", "ABCDE") == 0.8 and share("AXBCDE", "ABCDE") == 1
    assert share("", "ABCDE") == 0


def test_weights_of_ones_own(tmp_path: Path) -> None:
    """A pickle of another network, or of something else, is named with what is wrong; a right one is read."""
    import pickle

    cell = next(c for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.id == "q5_own")
    names: dict[str, Any] = {**T, "pages": {}}
    exec(cell.source, names)
    path, params = tmp_path / "q3_weights.pickle", letter_network()
    for content, match in (
        ({k: v for k, v in params.items() if k != "boutput"}, "no boutput"),
        (params | {"Wlayer1": params["Wlayer1"].T}, r"Wlayer1 .* \(64, 1024\)"),
        (params | {"blayer1": 0.0}, "Wlayer1"),
        ({}, "only nothing"),
    ):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=match):
            names["own_weights"](path)
    path.write_bytes(pickle.dumps(params))
    assert names["own_weights"](path).keys() == params.keys()
