"""The sizes of ps1_backprop/output_sizes against PyTorch's own layers, refused configurations included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from notebooks import solution
from torch import nn

ROOT = Path(__file__).parents[1]
S = solution(ROOT / "source" / "ps1_backprop" / "output_sizes.ipynb")


def _theirs(layer: Callable[..., nn.Module], n: int, *numbers: int | None, **named: int) -> int | None:
    """PyTorch's size; None where it refuses, when the layer is made or when it is called."""
    try:
        size: int = layer(*numbers, **named)(torch.zeros(1, 1, n)).shape[-1]
    except (RuntimeError, ValueError, AssertionError):
        return None
    return size


def _ours(name: str, *numbers: int | None) -> int | None:
    try:
        return int(S[name](*numbers))
    except ValueError:
        return None


def _draw(seed: int, number: int) -> list[tuple[int, ...]]:
    """Random (n, k, s, p, d, p_out), of which many do not fit."""
    rng = np.random.default_rng(seed)
    highest = (24, 7, 5, 4, 4, 4)
    return [tuple(int(rng.integers(low, high)) for low, high in zip((1, 1, 1, 0, 1, 0), highest, strict=True))
            for _ in range(number)]  # fmt: skip


def _agree(pairs: list[tuple[int | None, int | None]]) -> None:
    assert [ours for ours, _ in pairs] == [theirs for _, theirs in pairs]
    refused = sum(theirs is None for _, theirs in pairs)
    assert 5 < refused < len(pairs) / 2


def test_convolution_equals_torch() -> None:
    """600 convolutions, with and without dilation."""
    cases = [case[:-1] for case in _draw(1, 600)]
    _agree([(_ours("conv_size", *case), _theirs(nn.Conv1d, case[0], 1, 1, *case[1:])) for case in cases])
    plain = [case[:-1] for case in cases]
    _agree([(_ours("output_size", *case), _theirs(nn.Conv1d, case[0], 1, 1, *case[1:])) for case in plain])


def test_pooling_equals_torch() -> None:
    """600 max pooling layers, some without a stride; PyTorch judges the padding by the window without its gaps."""
    cases = [(n, k, s if n % 3 else None, p, d) for n, k, s, p, d, _ in _draw(2, 600)]
    _agree([(_ours("pool_size", *case), _theirs(nn.MaxPool1d, *case)) for case in cases])


def test_transposed_convolution_equals_torch() -> None:
    """600 transposed convolutions."""
    pairs = []
    for n, k, s, p, d, p_out in _draw(3, 600):
        theirs = _theirs(nn.ConvTranspose1d, n, 1, 1, k, s, p, p_out, dilation=d)
        pairs.append((_ours("transposed_size", n, k, s, p, p_out, d), theirs))
    _agree(pairs)


@pytest.mark.parametrize("seed", range(20))
def test_networks_equal_torch(seed: int) -> None:
    """Random networks of all kinds of layers: every shape on the way."""
    rng = np.random.default_rng(seed)
    kinds = {
        "conv": lambda c: (nn.LazyConv2d, (c, int(rng.integers(1, 5)), int(rng.integers(1, 3)), 1)),
        "pool": lambda c: (nn.MaxPool2d, (2, int(rng.integers(1, 3)), 1)),
        "transposed": lambda c: (nn.LazyConvTranspose2d, (c, 3, int(rng.integers(2, 4)), 1, 1)),
    }
    layers, modules = [], []
    for kind in [*rng.choice(list(kinds), 5), "flatten", "linear", "linear"]:
        channels = int(rng.integers(1, 9))
        if kind in kinds:
            module, numbers = kinds[kind](channels)
        else:
            module, numbers = (nn.Flatten, ()) if kind == "flatten" else (nn.LazyLinear, (channels,))
        layers.append((str(kind), *numbers))
        modules.append(module(*numbers))
    x, shapes = torch.zeros(1, 2, 31, 44), []
    for module in modules:
        x = module(x)
        shapes.append(tuple(x.shape[1:]))
    assert S["trace"]((2, 31, 44), layers) == shapes
