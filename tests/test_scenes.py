"""Scenes: the same for the same seed, with masks that are true, and a ground that correlates without deciding."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dlcourse.data.scenes import CLASSES, FITTING, GROUNDS, LARGEST, SIZE, SMALLEST, _paste, scenes, twin


def test_the_same_seed_gives_the_same_scenes() -> None:
    """Scenes depend on seed and place alone, not on how many are made; other seeds give others."""
    few, many = scenes(2, seed=5), scenes(4, seed=5)
    for a, b in zip(few, many[:2], strict=True):
        assert a.image.tobytes() == b.image.tobytes() and a.ground == b.ground
        assert all((x.mask == y.mask).all() and x.label == y.label for x, y in zip(a.objects, b.objects, strict=True))
    assert few[0].image.tobytes() != scenes(1, seed=6)[0].image.tobytes()
    assert LARGEST * 2 <= SIZE  # or two objects might find no place


@pytest.mark.parametrize("P", range(len(CLASSES)))
def test_twins_side_by_side(P: int) -> None:
    """Named classes are all there, the larger first; masks do not overlap; each has an upper and a lower half."""
    (scene,) = scenes(1, seed=P, labels=(P, twin(P)))
    assert [one.label for one in scene.objects] == [P, twin(P)]
    assert twin(twin(P)) == P != twin(P) and twin(P) // 2 == P // 2
    first, second = scene.objects
    assert not (first.mask & second.mask).any()
    for one in scene.objects:
        assert one.mask.shape == (SIZE, SIZE)
        assert not (one.upper & ~one.mask).any()
        assert 0.2 < one.upper.sum() / one.mask.sum() < 0.9
        rows = np.nonzero(one.mask.any(axis=1))[0]
        assert SMALLEST * 0.6 < rows[-1] - rows[0] <= LARGEST
    assert (scene.mask(P) == first.mask).all()
    assert not scene.mask((P + 2) % 8).any()
    assert scene.shares().sum() == pytest.approx(1)
    assert scene.shares()[P] == pytest.approx(first.mask.sum() / (first.mask.sum() + second.mask.sum()))


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_masks_are_where_the_object_is(label: int) -> None:
    """What drawing an object changes in a picture is its mask, up to the half-covered pixels of its rim."""
    canvas = Image.new("RGB", (SIZE, SIZE))
    mask, _ = _paste(np.random.default_rng(label), canvas, label, 100, 30, 80)
    drawn = np.asarray(canvas).any(axis=2)
    assert drawn[mask].mean() > 0.97
    assert (drawn & ~mask).sum() < 0.25 * mask.sum()
    rows, columns = np.nonzero(drawn)
    assert rows.min() >= 80 and rows.max() < 180 and columns.min() >= 30 and columns.max() < 130


def test_ground_correlates_and_does_not_decide() -> None:
    """The ground fits the main object more often than by chance, and clearly not always."""
    made = scenes(300, seed=9)
    fits = np.mean([scene.ground == scene.objects[0].label // 2 for scene in made])
    assert fits == pytest.approx(FITTING + (1 - FITTING) / len(GROUNDS), abs=0.1)
    assert {len(scene.objects) for scene in made} == {1, 2}
    assert {one.label for scene in made for one in scene.objects} == set(range(len(CLASSES)))
