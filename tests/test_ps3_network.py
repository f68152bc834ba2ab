"""The solution of ps3_recognition/network against torch, SciPy and the recipe of its data; its statistical bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from notebooks import solution
from scipy import special, stats
from torch.nn import functional

SOURCE = Path(__file__).parents[1] / "source" / "ps3_recognition" / "network.ipynb"
CELLS = {cell.id: cell.source for cell in nbformat.read(SOURCE, as_version=4).cells}
KEYS = ("Wlayer1", "blayer1", "Woutput", "boutput")


S = solution(SOURCE, "toy_data", "given_weights", "q5_given")


def _torch_loss(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The network and its loss as torch has them."""
    hidden = torch.sigmoid(functional.linear(x, params["Wlayer1"].T, params["blayer1"]))
    logits = functional.linear(hidden, params["Woutput"].T, params["boutput"])
    return functional.cross_entropy(logits, y.argmax(dim=1), reduction="sum")


def test_toy_data() -> None:
    """The forty points are those of the recipe with seed 0, to six decimals."""
    means = np.array([(3.6, 40), (3.9, 10), (3.4, 30), (2.0, 10)])
    variances = np.array([(0.05, 10), (0.01, 5), (0.25, 5), (0.5, 10)])
    drawn = np.random.RandomState(0).standard_normal((4, 10, 2))[..., ::-1]  # larger variance first
    points = means[:, None] + drawn * np.sqrt(variances)[:, None]
    np.testing.assert_allclose(S["x"], points.reshape(40, 2), rtol=0, atol=5.1e-7)
    assert S["y"].sum(axis=0).tolist() == [10] * 4


def test_numbers_in_the_text() -> None:
    """The numbers that the text announces are those of the solution."""
    params, _ = S["starting_point"]()
    probs = S["forward"](S["forward"](S["x"], params, "layer1"), params, "output", S["softmax"])
    loss, acc = S["compute_loss_and_acc"](S["y"], probs)
    announced = CELLS["q1_expect"] + CELLS["q3_expect"] + CELLS["q4_expect"]
    variances = [params["Wlayer1"].var(), params["Woutput"].var()]
    for number in (*variances, probs.min(), loss, 40 * np.log(4)):
        assert f"{number:.6f}" in announced
    assert f"{probs.max():.3f}" in announced
    assert acc == 0.25
    assert set(probs.argmax(axis=1)) == {1}


def test_initial_weights() -> None:
    """The weights have the uniform distribution on ±sqrt(6 / (in + out))."""
    params: dict[str, Any] = {}
    np.random.seed(1)
    S["initialize_weights"](150, 90, params, "any")
    limit = (6 / 240) ** 0.5
    assert stats.kstest(params["Wany"].ravel(), stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-6
    assert params["Wany"].var() == pytest.approx(2 / 240, rel=0.05)


def test_activations_and_loss() -> None:
    """Sigmoid, softmax and loss agree with SciPy and torch, for logits of any size."""
    rng = np.random.default_rng(2)
    for scale in (1, 30, 1000):
        z = scale * rng.standard_normal((9, 5))
        np.testing.assert_allclose(S["sigmoid"](z), special.expit(z), rtol=1e-12)
        np.testing.assert_allclose(S["softmax"](z), special.softmax(z, axis=1), rtol=1e-12)
    z, labels = rng.standard_normal((9, 5)), rng.integers(5, size=9)
    loss, acc = S["compute_loss_and_acc"](np.eye(5)[labels], special.softmax(z, axis=1))
    expected = functional.cross_entropy(torch.from_numpy(z), torch.from_numpy(labels), reduction="sum")
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    assert acc == np.mean(z.argmax(axis=1) == labels)


def test_gradients_of_the_whole_network() -> None:
    """Backwards and central differences agree with autograd in every parameter."""
    x, y = torch.from_numpy(S["x"]), torch.from_numpy(S["y"])
    params, _ = S["starting_point"]()
    leaves = {key: torch.from_numpy(params[key].copy()).requires_grad_() for key in KEYS}
    _torch_loss(leaves, x, y).backward()

    def loss(p: dict) -> float:
        hidden = S["forward"](S["x"], p, "layer1")
        return S["compute_loss_and_acc"](S["y"], S["forward"](hidden, p, "output", S["softmax"]))[0]

    numeric = S["numerical_gradients"](loss, params)
    loss(params)
    delta = S["backwards"](params["cache_output"][2] - S["y"], params, "output", S["linear_deriv"])
    S["backwards"](delta, params, "layer1")
    for key in KEYS:
        expected = leaves[key].grad.numpy()
        np.testing.assert_allclose(params["grad_" + key], expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(numeric["grad_" + key], expected, rtol=1e-5, atol=1e-5)


def test_batches() -> None:
    """Every example lies in exactly one batch, whatever the sizes, and all orders occur equally often."""
    for number, size in ((40, 5), (43, 8), (3, 7), (6, 1)):
        x, y = np.arange(number)[:, None], np.arange(number)[:, None] * 3
        batches = S["get_random_batches"](x, y, size)
        assert sorted(np.concatenate([xb[:, 0] for xb, _ in batches])) == list(range(number))
        assert all((3 * xb == yb).all() for xb, yb in batches)
        assert max(len(xb) for xb, _ in batches) == min(size, number)
    np.random.seed(3)
    three = np.arange(3)[:, None]
    orders = [tuple(int(xb[0, 0]) for xb, _ in S["get_random_batches"](three, three, 1)) for _ in range(3000)]
    assert stats.chisquare(np.unique(orders, axis=0, return_counts=True)[1]).pvalue > 1e-6


def test_training_against_torch() -> None:
    """The loop takes the same steps as torch's SGD on the total loss, and gives the numbers in the text."""
    params, order = S["starting_point"]()
    batches = [(S["x"][rows], S["y"][rows]) for rows in np.split(order, 8)]
    leaves = {key: torch.from_numpy(params[key].copy()).requires_grad_() for key in KEYS}
    optimizer = torch.optim.SGD(leaves.values(), lr=1e-3)
    expected = []
    for _ in range(60):
        expected.append(0.0)
        for xb, yb in batches:
            optimizer.zero_grad()
            loss = _torch_loss(leaves, torch.from_numpy(xb), torch.from_numpy(yb))
            loss.backward()
            optimizer.step()
            expected[-1] += loss.item()
    losses, accuracies = S["train"](batches, params)
    np.testing.assert_allclose(losses[:60], expected, rtol=1e-8)
    for number in (0, 100, 200, 300, 400, 499):
        assert f"| {losses[number]:.2f} " in CELLS["q6_train_expect"]
    announced = [0.25, 0.85, 0.85, 0.875, 0.9, 0.925]
    assert [accuracies[number] for number in (0, 100, 200, 300, 400, 499)] == pytest.approx(announced)


def test_goal_has_a_margin() -> None:
    """However the points are dealt out, the goals of 35 nats and 75 % are met with room to spare."""
    ends = []
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(40)
        params, _ = S["starting_point"]()
        losses, accuracies = S["train"]([(S["x"][rows], S["y"][rows]) for rows in np.split(order, 8)], params)
        ends.append((losses[-1], accuracies[-1]))
    losses, accuracies = zip(*ends, strict=True)
    assert 24.5 < min(losses) < max(losses) < 24.9
    assert 0.899 < min(accuracies) < max(accuracies) < 0.976


def test_equal_weights_are_one_unit() -> None:
    """A network that starts with equal weights ends with equal units, as the model answer of Question 7 says."""
    _, order = S["starting_point"]()
    batches = [(S["x"][rows], S["y"][rows]) for rows in np.split(order, 8)]
    params = {
        "Wlayer1": np.zeros((2, 25)),
        "blayer1": np.zeros(25),
        "Woutput": np.zeros((25, 4)),
        "boutput": np.zeros(4),
    }
    losses, accuracies = S["train"](batches, params)
    assert np.ptp(params["Wlayer1"], axis=1).max() == 0
    assert np.abs(params["Wlayer1"]).min() > 0.05
    assert (round(losses[-1]), accuracies[-1]) == (36, pytest.approx(0.6))
    one = special.expit(S["x"] @ params["Wlayer1"][:, :1] + params["blayer1"][:1])
    logits = one @ (25 * params["Woutput"][:1]) + params["boutput"]
    both = S["forward"](S["forward"](S["x"], params, "layer1"), params, "output", S["softmax"])
    np.testing.assert_allclose(both, special.softmax(logits, axis=1), rtol=1e-9)
