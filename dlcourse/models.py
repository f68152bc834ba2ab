"""Networks to explain: torchvision's own classes, small and trained on ``dlcourse.data.scenes``, or full size.

The small ones ship with the course (``weights/*.safetensors``, with the log of their training beside them) and are
made anew by ``make models``. They are instances of torchvision's ``VGG`` and ``ResNet`` and have their structure:
``features``, ``avgpool``, ``classifier``; ``layer1`` … ``layer4``, ``avgpool``, ``fc``.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision import models as zoo
from torchvision.models import VGG, ResNet
from torchvision.models.resnet import BasicBlock
from torchvision.models.vgg import make_layers

from dlcourse.data import CLASSES
from dlcourse.errors import CourseError

# M: max pooling; a number: the channels of a convolution
_VGG: list[str | int] = ["M", 16, "M", 32, "M", 64, "M", 64, 64, "M"]
WEIGHTS = Path(__file__).with_name("weights")


def load(name: str, weights: str | None = "scenes") -> VGG | ResNet:
    """Return a network in evaluation mode, ready to be explained.

    Args:
        name: "vgg16" or "resnet50".
        weights: "scenes": a small network of the same family, trained on the scenes; it ships with the course.
            "imagenet": the full network with torchvision's best weights, downloaded (0.5 GB, 0.1 GB) when first used.
            None: the full network with random weights.

    Raises:
        CourseError: an unknown name, or the download failed.
    """
    if name not in ("vgg16", "resnet50") or weights not in ("scenes", "imagenet", None):
        raise CourseError(
            f'models.load({name!r}, {weights!r}): take "vgg16" or "resnet50" with "scenes", "imagenet" or None.'
        )
    if weights == "scenes":
        network = small_vgg() if name == "vgg16" else small_resnet()
        network.load_state_dict(load_file(WEIGHTS / f"{name}_scenes.safetensors"))
        return network.eval()
    try:
        return getattr(zoo, name)(weights="DEFAULT" if weights else None).eval()
    except OSError as error:
        raise CourseError(
            f'The ImageNet weights of {name} could not be fetched ({error}); "scenes" needs no network.'
        ) from error


def labels(weights: str | None = "scenes") -> dict[int, str]:
    """The class names that go with the weights, by index."""
    if weights == "scenes":
        return dict(enumerate(CLASSES))
    return dict(enumerate(zoo.VGG16_Weights.DEFAULT.meta["categories"]))


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Return a copy of a network with all its weights drawn anew: what it learned is gone, its structure stays."""
    copied = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in copied.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
        return _initialised(copied)


def small_vgg(num_classes: int = len(CLASSES), batch_norm: bool = False) -> VGG:
    """A VGG of five convolutions, five poolings and a short classifier, untrained.

    The last convolution is ``features[12]``, its ReLU ``features[13]``: (64, 14, 14) for an input of (3, 224, 224). The
    first pooling works on the picture itself, so that one core trains the network in minutes. ``batch_norm`` is for
    training; ``fold`` makes the plain network out of it.
    """
    with torch.device("meta"):  # the 120 million parameters of the classifier are never made
        network = VGG(nn.Identity(), init_weights=False)
    network.features = make_layers(_VGG, batch_norm=batch_norm)
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.classifier = nn.Sequential(nn.Linear(64, 64), nn.ReLU(True), nn.Dropout(0.1), nn.Linear(64, num_classes))
    return _initialised(network)


def small_resnet(num_classes: int = len(CLASSES)) -> ResNet:
    """A ResNet of four basic blocks and a quarter of the width, untrained.

    ``layer4[-1]`` gives (96, 14, 14) for an input of (3, 224, 224); global average pooling and one linear layer follow.
    Three things differ from a full ResNet, so that a place of the map lies over what it has seen: strided convolutions
    with odd kernels look at the upper left of their window and together shift a full ResNet's maps by half a place.
    Here the first convolution has an even kernel, stages 2 and 3 begin with average pooling, stage 4 keeps the size.
    """
    with torch.device("meta"):
        network = ResNet(BasicBlock, [1, 1, 1, 1])
    network.inplanes = 16
    network.conv1, network.bn1 = nn.Conv2d(3, 16, 8, stride=4, padding=2, bias=False), nn.BatchNorm2d(16)
    network.maxpool = nn.MaxPool2d(3, 1, 1)
    for number, planes in enumerate((16, 32, 64, 96), 1):
        blocks = list(network._make_layer(BasicBlock, planes, 1))
        setattr(network, f"layer{number}", nn.Sequential(*[nn.AvgPool2d(2)] * (number in (2, 3)), *blocks))
    network.fc = nn.Linear(96, num_classes)
    return _initialised(network)


def _initialised(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def fold(network: VGG) -> VGG:
    """Put every batch normalisation of a trained ``small_vgg`` into its convolution; the outputs stay the same."""
    network.eval()
    layers: list[Any] = []
    for layer in network.features:
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        else:
            layers.append(layer)
    network.features = nn.Sequential(*layers)
    return network
