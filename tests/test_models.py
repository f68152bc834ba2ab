"""Networks to explain: which there are, what they are called, and what randomising leaves."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from torchvision.models import VGG, ResNet

from dlcourse import models
from dlcourse.errors import CourseError


@pytest.mark.parametrize(("name", "family", "parameters"), [("vgg16", VGG, 120_000), ("resnet50", ResNet, 320_000)])
def test_small_networks(name: str, family: type, parameters: int) -> None:
    """They are torchvision's own classes, small, in evaluation mode, and answer with eight logits."""
    network = models.load(name)
    assert isinstance(network, family) and not network.training
    assert sum(p.numel() for p in network.parameters()) < parameters
    assert network(torch.zeros(2, 3, 224, 224)).shape == (2, len(models.labels()))


def test_names_and_failures() -> None:
    """An unknown name is refused with the known ones; without a network the message says what still works."""
    assert models.labels("imagenet")[130] == "flamingo"
    assert models.labels()[0] == "sailboat"
    with pytest.raises(CourseError, match="vgg16"):
        models.load("alexnet")
    with (
        patch("torchvision.models.vgg.VGG16_Weights.get_state_dict", side_effect=OSError("no network")),
        pytest.raises(CourseError, match="could not be fetched"),
    ):
        models.load("vgg16", "imagenet")


def test_randomised() -> None:
    """Every weight is drawn anew, the original and torch's generator are left alone, the seed decides."""
    network = models.load("resnet50")
    before, state = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
    new = models.randomised(network)
    assert torch.get_rng_state().equal(state)
    assert all(value.equal(before[key]) for key, value in network.state_dict().items())
    assert all(not a.equal(b) for a, b in zip(new.parameters(), network.parameters(), strict=True))
    again, other = models.randomised(network), models.randomised(network, seed=1)
    assert again.fc.weight.equal(new.fc.weight) and not other.fc.weight.equal(new.fc.weight)
    assert not new.training
