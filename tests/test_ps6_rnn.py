"""The solution of ps6_rnn against oracles that share no code with it: torch, central differences, published numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from notebooks import solution

SOURCE = Path(__file__).parents[1] / "source" / "ps6_rnn" / "rnn.ipynb"
NAMES = ("Wax", "Waa", "Wya", "ba", "by")
sizes = st.tuples(*(st.integers(1, 5) for _ in range(5)), st.integers(0, 2**16))  # n_x, n_a, n_y, m, T_x, seed


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(SOURCE, as_version=4)


S = solution(SOURCE, "draw_example", "numerical_gradient")


def _case(
    n_x: int, n_a: int, n_y: int, m: int, steps: int, seed: int
) -> tuple[np.ndarray, np.ndarray, dict, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"Wax": (n_a, n_x), "Waa": (n_a, n_a), "Wya": (n_y, n_a), "ba": (n_a, 1), "by": (n_y, 1)}
    parameters = {name: rng.uniform(-0.8, 0.8, shape) for name, shape in shapes.items()}
    x, a0 = rng.standard_normal((n_x, m, steps)), rng.uniform(-0.9, 0.9, (n_a, m))
    return x, a0, parameters, rng.standard_normal((n_a, m, steps))


def _torch_states(x: Any, a0: Any, parameters: dict[str, Any]) -> torch.Tensor:
    """The hidden states (n_a, m, T_x) from torch.nn.RNN's own kernel, differentiable in every argument."""
    n_a, n_x = parameters["Wax"].shape
    rnn = torch.nn.RNN(n_x, n_a, nonlinearity="tanh", dtype=torch.float64)
    weights = {"weight_ih_l0": parameters["Wax"], "weight_hh_l0": parameters["Waa"]}
    weights |= {"bias_ih_l0": parameters["ba"][:, 0], "bias_hh_l0": torch.zeros(n_a, dtype=torch.float64)}
    states, _ = torch.func.functional_call(rnn, weights, (x.permute(2, 1, 0), a0.T[None].contiguous()))
    return states.permute(2, 1, 0)


def _tensors(parameters: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value, requires_grad=True) for name, value in parameters.items()}


@given(sizes)
@settings(max_examples=25, deadline=None)
def test_softmax_and_sigmoid_equal_torch(case: tuple[int, ...]) -> None:
    """Both agree with torch for any shape."""
    logits = 8 * np.random.default_rng(case[-1]).standard_normal(case[:2])
    np.testing.assert_allclose(S["softmax"](logits), torch.softmax(torch.tensor(logits), 0).numpy(), rtol=1e-12)
    np.testing.assert_allclose(S["sigmoid"](logits), torch.sigmoid(torch.tensor(logits)).numpy(), rtol=1e-12)


@given(sizes)
@settings(max_examples=25, deadline=None)
def test_forward_equals_torch(case: tuple[int, ...]) -> None:
    """Hidden states and predictions of a sequence are those of torch.nn.RNN with a linear head."""
    x, a0, parameters, _ = _case(*case)
    a, y_pred, (cell_caches, kept) = S["rnn_forward"](x, a0, parameters)
    theta = _tensors(parameters)
    states = _torch_states(torch.tensor(x), torch.tensor(a0), theta)
    logits = torch.einsum("kj,jit->kit", theta["Wya"], states) + theta["by"][:, :, None]
    np.testing.assert_allclose(a, states.detach().numpy(), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(y_pred, torch.softmax(logits, 0).detach().numpy(), rtol=1e-10)
    assert kept is x and len(cell_caches) == x.shape[2]
    for t, (a_next, a_prev, xt, held) in enumerate(cell_caches):
        np.testing.assert_array_equal(a_next, a[:, :, t])
        np.testing.assert_array_equal(a_prev, a[:, :, t - 1] if t else a0)
        np.testing.assert_array_equal(xt, x[:, :, t])
        assert held is parameters


@given(sizes)
@settings(max_examples=25, deadline=None)
def test_backward_equals_autograd(case: tuple[int, ...]) -> None:
    """All gradients of J = Σ da ⊙ a, through time and through one cell, are those of torch.autograd."""
    x, a0, parameters, da = _case(*case)
    inputs, start, theta = (
        torch.tensor(x, requires_grad=True),
        torch.tensor(a0, requires_grad=True),
        _tensors(parameters),
    )
    (_torch_states(inputs, start, theta) * torch.tensor(da)).sum().backward()
    expected = {"dx": inputs.grad, "da0": start.grad} | {"d" + name: theta[name].grad for name in ("Wax", "Waa", "ba")}
    gradients = S["rnn_backward"](da, S["rnn_forward"](x, a0, parameters)[2])
    assert set(gradients) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(gradients[name], value.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
    if x.shape[2] == 1:
        cell = S["rnn_cell_backward"](da[:, :, 0], S["rnn_cell_forward"](x[:, :, 0], a0, parameters)[2])
        assert set(cell) == {"dxt", "da_prev", "dWax", "dWaa", "dba"}
        np.testing.assert_allclose(cell["dxt"], inputs.grad[:, :, 0].numpy(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(cell["da_prev"], start.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_backward_equals_central_differences() -> None:
    """The gradients agree with the definition of a derivative, by a loop that stands here."""
    x, a0, parameters, da = _case(3, 4, 2, 2, 5, 11)
    gradients = S["rnn_backward"](da, S["rnn_forward"](x, a0, parameters)[2])
    for name, array in {
        "dx": x,
        "da0": a0,
        "dWax": parameters["Wax"],
        "dWaa": parameters["Waa"],
        "dba": parameters["ba"],
    }.items():
        for i in np.ndindex(array.shape):
            kept, losses = array[i], []
            for sign in (1, -1):
                array[i] = kept + sign * 1e-5
                losses.append(np.sum(da * S["rnn_forward"](x, a0, parameters)[0]))
            array[i] = kept
            assert gradients[name][i] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-6, abs=1e-8), (name, i)


def test_numerical_gradient_is_one() -> None:
    """The helper that learners trust gives the gradient of a function whose gradient is known."""
    x = np.array([[0.3, -1.2, 2.0], [1.1, 0.4, -0.7]])
    np.testing.assert_allclose(S["numerical_gradient"](lambda v: np.sum(v**3), x), 3 * x**2, rtol=1e-7)


@pytest.mark.parametrize("scale", [1.0, 1e-8], ids=["gradients of order 1", "gradients of order epsilon"])
@pytest.mark.parametrize(
    "options",
    [{}, {"learning_rate": 0.2, "beta1": 0.6, "beta2": 0.7, "epsilon": 1e-3}],
    ids=["defaults", "other options"],
)
def test_adam_equals_torch(scale: float, options: dict[str, float]) -> None:
    """Nine steps of Adam on the parameters of the network are those of torch.optim.Adam."""
    rng = np.random.default_rng(3)
    parameters = {name: rng.standard_normal((3, k + 1)) for k, name in enumerate(NAMES)}
    theta = _tensors(parameters)
    rates = {"learning_rate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8} | options
    optimiser = torch.optim.Adam(
        theta.values(), lr=rates["learning_rate"], betas=(rates["beta1"], rates["beta2"]), eps=rates["epsilon"]
    )
    v, s = S["initialize_adam"](parameters)
    for t in range(1, 10):
        grads = {"d" + name: scale * rng.standard_normal(value.shape) for name, value in parameters.items()}
        for name, tensor in theta.items():
            tensor.grad = torch.tensor(grads["d" + name])
        optimiser.step()
        parameters, v, s = S["update_parameters_with_adam"](parameters, grads | {"dx": np.ones(2)}, v, s, t, **options)
        for name, tensor in theta.items():
            np.testing.assert_allclose(parameters[name], tensor.detach().numpy(), rtol=1e-11, atol=1e-14)
            state = optimiser.state[tensor]
            np.testing.assert_allclose(v["d" + name], state["exp_avg"].numpy(), rtol=1e-11)
            np.testing.assert_allclose(s["d" + name], state["exp_avg_sq"].numpy(), rtol=1e-11)


def test_numbers_of_the_forward_pass() -> None:
    """The numbers that the exercise is known by."""
    xt, a_prev, parameters = S["draw_example"]("xt a_prev Waa Wax Wya ba by")
    a_next, yt_pred, _ = S["rnn_cell_forward"](xt, a_prev, parameters)
    assert a_next[4, :3] == pytest.approx([0.59584544, 0.18141802, 0.61311866], rel=1e-7)
    assert yt_pred[1, :3] == pytest.approx([0.9888161, 0.01682021, 0.21140899], rel=1e-6)
    assert [a_next.sum(), (a_next**2).sum()] == pytest.approx([-4.1021846353, 28.1812870888], rel=1e-10)
    assert (yt_pred**2).sum() == pytest.approx(8.1615278838, rel=1e-10)
    a, y_pred, caches = S["rnn_forward"](*S["draw_example"]("x a0 Waa Wax Wya ba by"))
    assert a[4, 1] == pytest.approx([-0.99999375, 0.77911235, -0.99861469, -0.99833267], rel=1e-7)
    assert y_pred[1, 3] == pytest.approx([0.79560373, 0.86224861, 0.11118257, 0.81515947], rel=1e-7)
    assert caches[1][1, 3] == pytest.approx([-1.1425182, -0.34934272, -0.20889423, 0.58662319], rel=1e-7)
    assert [a.sum(), (a**2).sum()] == pytest.approx([53.6288440602, 153.4294366251], rel=1e-10)
    assert (y_pred**2).sum() == pytest.approx(31.7359430466, rel=1e-10)


def test_numbers_of_the_backward_pass() -> None:
    """One bias is drawn and used; the bias left over from the forward question gives the other known numbers."""
    xt, a_prev, da_next, parameters = S["draw_example"]("xt a_prev Wax Waa Wya ba by da_next")
    leaked = S["draw_example"]("x a0 Waa Wax Wya ba by")[-1]["ba"]
    known = {
        "own": (parameters["ba"], [-1.3872130506, -0.1523994938, 0.4107728249, 1.1503450668, 0.2002349139]),
        "leaked": (leaked, [-0.46056410305888, 0.0842968653806773, 0.3930818739219, -0.28483955786961, 0.80517166]),
    }
    for ba, expected in known.values():
        g = S["rnn_cell_backward"](da_next, S["rnn_cell_forward"](xt, a_prev, parameters | {"ba": ba})[2])
        got = [g["dxt"][1, 2], g["da_prev"][2, 3], g["dWax"][3, 1], g["dWaa"][1, 2], g["dba"][4, 0]]
        assert got == pytest.approx(expected, rel=1e-8)
    x, a0, da, parameters = S["draw_example"]("x a0 Wax Waa Wya ba by da")
    g = S["rnn_backward"](da, S["rnn_forward"](x, a0, parameters)[2])
    assert g["dx"][1, 2] == pytest.approx([-2.0710168869, -0.5925562746, 0.0246685478, 0.0148331664], rel=1e-8)
    got = [g["da0"][2, 3], g["dWax"][3, 1], g["dWaa"][1, 2], g["dba"][4, 0]]
    assert got == pytest.approx([-0.3149423751266, 11.264104496528, 2.303333126580, -0.7474772166], rel=1e-9)
    sums = {"dx": 0.4752698004, "da0": 2.9940788838, "dWax": 33.4919181852, "dWaa": -1.9868918894, "dba": 10.4378153939}
    assert {name: value.sum() for name, value in g.items()} == pytest.approx(sums, rel=1e-9)


def test_smallest_loss_is_a_bound(notebook: nbformat.NotebookNode) -> None:
    """The curve of the smallest possible loss is the conditional entropy of the text, counted another way."""
    namespace: dict[str, Any] = {"np": np}
    for cell in notebook.cells:
        if cell.id in ("q7_text", "q7_output_layer"):
            exec(compile(cell.source, cell.id, "exec"), namespace)
    text, bound = namespace["TEXT"], namespace["smallest_loss"](6)
    for t in range(6):
        following: dict[str, list[str]] = {}
        for i in range(len(text)):
            following.setdefault((text + text)[i : i + t + 1], []).append((text + text)[i + t + 1])
        entropy = -sum(np.log(f.count(c) / len(f)) for f in following.values() for c in f) / len(text)
        assert bound[t] == pytest.approx(entropy, abs=1e-12)


def test_solution_is_pure() -> None:
    """No function of the solution changes what it was given."""
    x, a0, parameters, da = _case(3, 4, 2, 5, 3, 0)
    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (S["softmax"], (a0,)),
        (S["rnn_forward"], (x, a0, parameters)),
        (S["rnn_backward"], (da, S["rnn_forward"](x, a0, parameters)[2])),
    ]
    before = [array.copy() for array in (x, a0, da, *parameters.values())]
    for function, arguments in calls:
        function(*arguments)
    for old, new in zip(before, (x, a0, da, *parameters.values()), strict=True):
        np.testing.assert_array_equal(old, new)
