"""The solution of ps1_backprop/theory against oracles that share no code with it: SymPy, torch, central differences."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

SOURCE = Path(__file__).parents[1] / "source" / "ps1_backprop" / "theory.ipynb"
CELLS = nbformat.read(SOURCE, as_version=4).cells
logits = st.lists(st.floats(-2000, 2000), min_size=1, max_size=8)
sizes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**16))  # k, d, seed


def _solution() -> dict[str, Any]:
    """The given functions and those of the answer cells, in a namespace of their own."""
    namespace: dict[str, Any] = {"__name__": "notebook"}
    for cell in CELLS:
        nbgrader = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and nbgrader and not nbgrader["grade"]:
            exec(compile(cell.source, cell.id, "exec"), namespace)
    return namespace


S = _solution()
Z, U, V = sp.symbols("z u v", real=True)
SIGMOID = 1 / (1 + sp.exp(-Z))


def _same(formula: Any, expected: Any) -> bool:
    """Whether SymPy proves that two formulas are equal."""
    return sp.simplify((formula - expected).rewrite(sp.exp)) == 0


@given(logits, st.floats(-500, 500))
@settings(max_examples=60, deadline=None)
def test_softmax_equals_torch(x: list[float], c: float) -> None:
    """Softmax is torch's for logits of any size, a shift does not change it, and its input stays as it is."""
    given_logits = np.array(x)
    shares = S["softmax"](given_logits)
    np.testing.assert_array_equal(given_logits, x)
    np.testing.assert_allclose(shares, torch.softmax(torch.tensor(x, dtype=torch.float64), 0).numpy(), rtol=1e-12)
    np.testing.assert_allclose(S["softmax"](np.array(x) + c), shares, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_shift_is_proved(d: int) -> None:
    """The lines of the proof are equal to what they stand for, and c is gone from the last."""
    x, c = sp.symbols(f"x:{d}", real=True), sp.Symbol("c", real=True)
    denominator = sum(sp.exp(x_j + c) for x_j in x)
    assert _same(S["shifted_denominator"](x, c), denominator)
    for i in range(d):
        assert _same(S["shifted_numerator"](x, c, i), sp.exp(x[i] + c))
        assert _same(S["cancelled"](x, i), sp.exp(x[i] + c) / denominator)


@given(st.integers(1, 30), st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_range_of_softmax(d: int, seed: int) -> None:
    """Every element lies between the stated bounds, attained or not; each value between them has its logit."""
    x = np.random.default_rng(seed).uniform(-8, 8, d)
    facts, shares = S["softmax_facts"](d), torch.softmax(torch.tensor(x), 0).numpy()
    assert shares.sum() == pytest.approx(facts["sum"])
    assert facts["attained"] == (d == 1)
    if d == 1:
        assert facts["infimum"] == shares[0] == facts["supremum"]
        return
    assert facts["infimum"] < shares.min() and shares.max() < facts["supremum"]
    p = float(shares[0])
    a = float(S["logit_for"](p, d))
    found = torch.softmax(torch.tensor([a, *[0.0] * (d - 1)], dtype=torch.float64), 0)[0]
    assert float(found) == pytest.approx(p) == float(S["one_logit"](a, d))


@given(st.lists(st.integers(1, 5), min_size=2, max_size=6), st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_composition_equals_a_stack_of_linear_layers(widths: list[int], seed: int) -> None:
    """The folded layer is torch.nn.Sequential of the given ones, for any depth and widths."""
    torch.manual_seed(seed)
    stack = torch.nn.Sequential(*[torch.nn.Linear(n, m, dtype=torch.float64) for n, m in itertools.pairwise(widths)])
    layers = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()[:, None]) for layer in stack]
    W, b = S["compose"](layers)
    x = torch.randn(widths[0], dtype=torch.float64)
    assert (W.shape, b.shape) == ((widths[-1], widths[0]), (widths[-1], 1))
    np.testing.assert_allclose((W @ x.numpy()[:, None] + b)[:, 0], stack(x).detach().numpy(), rtol=1e-9, atol=1e-12)
    if len(layers) == 2:
        for found, expected in zip(S["compose_two"](*layers[0], *layers[1]), (W, b), strict=True):
            np.testing.assert_allclose(found, expected)


def test_slopes_are_sympys() -> None:
    """Every line about sigmoid and tanh is what SymPy differentiates, as a proof and not at points."""
    slope, T = sp.diff(SIGMOID, Z), sp.tanh(Z)
    assert _same(S["inner_slope"](Z), sp.diff(1 + sp.exp(-Z), Z))
    assert _same(S["outer_slope"](U), sp.diff(1 / U, U))
    assert _same(S["sigmoid_slope"](Z), slope)
    assert _same(S["one_minus_sigmoid"](Z), 1 - SIGMOID)
    assert _same(S["slope_through_sigmoid"](SIGMOID), slope)
    assert _same(S["gap_to_quarter"](SIGMOID), sp.Rational(1, 4) - slope)
    assert _same(S["tanh_slope"](T), sp.diff(T, Z))
    assert _same(S["quotient_rule"](2 * sp.sinh(Z), 2 * sp.cosh(Z)), sp.diff(T, Z))
    assert _same(S["tanh_in_q"](sp.exp(-2 * Z)), T)
    for kappa in (1, 2, sp.Rational(7, 10)):  # the check hands in steeper sigmoids
        assert _same(S["tanh_through_sigmoid"](Z, lambda u, k=kappa: SIGMOID.subs(Z, k * u)), sp.tanh(kappa * Z))


@given(st.lists(st.floats(-6, 6), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_products_of_slopes_stay_below_the_bound(z: list[float]) -> None:
    """The product is that of torch's slopes, at most the bound, and the bound is reached at zero."""
    points = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    torch.sigmoid(points).sum().backward()
    product, bound = S["value_at"](S["chain_factor"], np.array(z)), float(S["factor_bound"](len(z)))
    assert product == pytest.approx(float(points.grad.prod()), rel=1e-9)
    assert product <= bound * (1 + 1e-12)
    assert S["value_at"](S["chain_factor"], np.zeros(len(z))) == pytest.approx(bound, rel=1e-12)


@given(sizes)
@settings(max_examples=25, deadline=None)
def test_gradients_equal_autograd(case: tuple[int, int, int]) -> None:
    """Entries and matrices are torch's gradients of a loss that is not the notebook's."""
    k, d, seed = case
    torch.manual_seed(seed)
    W, x, b = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((k, d), (d, 1), (k, 1)))
    y = W @ x + b
    y.retain_grad()
    torch.sin(y).prod().backward()
    delta, W_, x_ = y.grad.numpy(), W.detach().numpy(), x.detach().numpy()
    found = S["dJ_dW"](delta, x_), S["dJ_dx"](delta, W_), S["dJ_db"](delta)
    for gradient, tensor in zip(found, (W, x, b), strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-9, atol=1e-13)
    rows, columns = range(k), range(d)
    entries = [[S["dJ_dW_entry"](a, c, delta, x_) for c in columns] for a in rows]
    np.testing.assert_allclose(entries, W.grad.numpy(), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose([S["dJ_dx_entry"](c, delta, W_) for c in columns], x.grad.numpy()[:, 0], atol=1e-13)
    np.testing.assert_allclose([S["dJ_db_entry"](a, delta) for a in rows], b.grad.numpy()[:, 0], atol=1e-13)
    jacobians = torch.autograd.functional.jacobian(lambda *p: (p[0] @ p[1] + p[2])[:, 0], (W, x, b))
    own = [[[S["dy_dW_entry"](i, a, c, x_) for c in columns] for a in rows] for i in rows]
    np.testing.assert_array_equal(own, jacobians[0].numpy())
    np.testing.assert_array_equal([[S["dy_dx_entry"](i, c, W_) for c in columns] for i in rows], jacobians[1][..., 0])
    np.testing.assert_array_equal([[S["dy_db_entry"](i, a) for a in rows] for i in rows], jacobians[2][..., 0])


def test_value_at_takes_every_form() -> None:
    """A line has the same value with letters and with NumPy; an index stays one; foreign letters are named."""
    value_at, x = S["value_at"], np.array([0.3, -1.2])
    lines = (lambda x, c, i: sp.exp(x[i]) * c, lambda x, c, i: np.exp(x)[i] * c, lambda x, c, i: sp.E ** x[i] / (1 / c))
    for line in lines:
        assert value_at(line, x, 0.7, 1) == pytest.approx(0.7 * np.exp(-1.2))
    assert value_at(lambda z: sp.Derivative(sp.sin(z), z), 0.4) == pytest.approx(np.cos(0.4))
    assert value_at(lambda z: None, 0.4) is None
    with pytest.raises(NameError, match=r"letters that it was not given: \['w'\]"):
        value_at(lambda z: z * sp.Symbol("w"), 0.4)
    with pytest.raises(IndexError):  # a mistake of the learner's is not taken for a line without letters
        value_at(lambda x: x[2], x)
