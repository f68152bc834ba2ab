"""The solution of ps1_backprop/backprop_by_hand against automatic differentiation, and the numbers in its text."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from notebooks import solution

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "source" / "ps1_backprop" / "backprop_by_hand.ipynb"
S = solution(NOTEBOOK)


def _network(seed: int, *sizes: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(sizes[i + 1], sizes[i])) for i in range(len(sizes) - 1)]
    biases = [rng.normal(size=(size, 1)) for size in sizes[1:]]
    return weights, biases, rng.normal(size=(sizes[0], 1)), rng.uniform(size=(sizes[-1], 1))


@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 5), (4, 6, 1), (1, 1, 1, 1), (5, 4, 3, 6, 2, 3)])
def test_backpropagation_equals_autograd(sizes: tuple[int, ...]) -> None:
    """Every gradient, for networks of two to six layers."""
    weights, biases, x, y = _network(len(sizes), *sizes)
    leaves = [torch.tensor(one, requires_grad=True) for one in (x, *weights, *biases)]
    a = leaves[0]
    for W, b in zip(leaves[1 : len(sizes)], leaves[len(sizes) :], strict=True):
        a = torch.sigmoid(W @ a + b)
    loss = torch.nn.functional.binary_cross_entropy(a, torch.tensor(y), reduction="sum")
    loss.backward()
    dW, db, dx = S["backpropagate"](x, y, weights, biases)
    for found, leaf in zip([dx, *dW, *db], leaves, strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(found, leaf.grad.numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(S["cost"](a.detach().numpy(), y), loss.item(), rtol=1e-12)


def test_steps_by_hand_equal_the_general_case() -> None:
    """The functions of Questions 1 to 4, one after the other, are Question 6 for three layers."""
    weights, biases, x, y = _network(3, 4, 3, 5)
    z2, a2, _, a3 = S["forward"](x, weights[0], biases[0], weights[1], biases[1])
    delta3 = S["output_error"](a3, y)
    delta2 = S["hidden_error"](delta3, weights[1], z2)
    found = S["gradients"](x, weights[0], a2, delta2, delta3)
    dW, db, dx = S["backpropagate"](x, y, weights, biases)
    for name, value in {"dW2": dW[0], "dW3": dW[1], "db2": db[0], "db3": db[1], "dx": dx}.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-13)


def test_numerical_gradient_equals_torch() -> None:
    """Central differences of a function of a matrix agree with its derivative to eight digits."""
    p = torch.tensor(np.random.default_rng(5).uniform(0.5, 2, (3, 4)), requires_grad=True)
    (torch.sin(p).prod() * p.sum()).backward()
    assert p.grad is not None
    found = S["numerical_gradient"](lambda q: float(np.sin(q).prod() * q.sum()), p.detach().numpy())
    np.testing.assert_allclose(found, p.grad.numpy(), rtol=1e-8)


def test_numbers_in_the_text() -> None:
    """What the visible checks and the text state: the numbers of the exercise, and where the recipe for δ¹ leads."""
    x, y = np.array([[0.05], [0.1]]), np.array([[0.01], [0.99]])
    W2, W3 = np.array([[0.15, 0.25], [0.2, 0.3]]), np.array([[0.4, 0.5], [-0.45, 0.55]])
    b2, b3 = np.full((2, 1), 0.35), np.full((2, 1), 0.6)
    z2, _, _, a3 = S["forward"](x, W2, b2, W3, b3)
    delta3 = S["output_error"](a3, y)
    delta2 = S["hidden_error"](delta3, W3, z2)
    np.testing.assert_allclose(delta3.ravel(), [0.74693192, -0.33064048], atol=5e-9)
    np.testing.assert_allclose(delta2.ravel(), [0.1078954501, 0.0461270955], atol=5e-11)
    np.testing.assert_allclose((W2.T @ delta2 * x * (1 - x)).ravel(), [0.00120696, 0.00367308], atol=5e-9)
    np.testing.assert_allclose(S["cost"](a3, y), 1.8261451314, atol=5e-11)
    text = "\n".join(cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells)
    stated = set(re.findall(r"\d\.\d{6,}", text))
    assert {"0.00120696", "0.00367308", "0.1078954501", "1.8261451314", "0.0254097366"} <= stated
