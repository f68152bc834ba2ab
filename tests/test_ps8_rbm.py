"""The solution of ps8_generative/rbm against oracles that share no code with it: counting, autograd, scikit-learn."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from notebooks import solution
from sklearn.neural_network import BernoulliRBM

SOURCE = Path(__file__).parents[1] / "source" / "ps8_generative" / "rbm.ipynb"


S = solution(SOURCE)
SHAPES = [(4, 3, 5), (3, 5, 1), (4, 4, 6), (1, 1, 2)]  # V, H, B


def _case(V: int, H: int, B: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(100 * V + 10 * H + B)
    return rng.integers(0, 2, (B, V)) * 1.0, rng.normal(0, 1.5, (V, H)), rng.normal(0, 1, H), rng.normal(0, 1, V)


def _machine(w: np.ndarray, hb: np.ndarray, vb: np.ndarray, **options: Any) -> Any:
    machine = S["RBM"](len(hb), n_visible=len(vb), **options)
    machine.w, machine.hb, machine.vb = w, hb, vb
    return machine


def _joint(w: np.ndarray, hb: np.ndarray, vb: np.ndarray) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """p(v, h) of every state, by loops over the definition of the energy."""
    weights = {}
    for v in itertools.product((0, 1), repeat=len(vb)):
        for h in itertools.product((0, 1), repeat=len(hb)):
            terms = [v[k] * w[k, j] * h[j] for k in range(len(v)) for j in range(len(h))]
            weights[v, h] = float(np.exp(sum(terms) + sum(v * vb) + sum(h * hb)))
    Z = sum(weights.values())
    return {state: weight / Z for state, weight in weights.items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_theory_equals_counting(shape: tuple[int, int, int]) -> None:
    """Conditionals, free energy, Z and log-odds are what the joint distribution says, state by state."""
    v, w, hb, vb = _case(*shape)
    p, log_Z = _joint(w, hb, vb), S["log_partition"](w, hb, vb)
    F = S["free_energy"](v, w, hb, vb)
    np.testing.assert_allclose(S["free_energy_by_sum"](v, w, hb, vb), F, rtol=1e-12)
    for row, free in zip(v, F, strict=True):
        given = {h: q for (x, h), q in p.items() if x == tuple(row)}
        p_v = sum(given.values())
        assert np.exp(-free - log_Z) == pytest.approx(p_v)
        states = np.array(list(given), dtype=float)
        same = np.tile(row, (len(states), 1))
        np.testing.assert_allclose(
            S["hidden_probability"](states, same, w, hb), np.array(list(given.values())) / p_v, rtol=1e-10
        )
        np.testing.assert_allclose(np.exp(-S["energy"](same, states, w, hb, vb) - log_Z), list(given.values()))
        on = np.array(list(given.values())) @ states / p_v
        np.testing.assert_allclose(S["hidden_log_odds"](row[None], w, hb)[0], np.log(on / (1 - on)), rtol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_equals_autograd(shape: tuple[int, int, int]) -> None:
    """The exact gradient is torch's derivative of the mean ln p."""
    v, *theta = _case(*shape)
    w, hb, vb = (torch.tensor(x, requires_grad=True) for x in theta)
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=len(vb))), dtype=torch.float64)

    def minus_F(x: torch.Tensor) -> torch.Tensor:
        return x @ vb + torch.nn.functional.softplus(x @ w + hb).sum(dim=1)

    (minus_F(torch.tensor(v)).mean() - minus_F(states).logsumexp(dim=0)).backward()
    for own, expected in zip(S["exact_gradient"](v, *theta), (w.grad, hb.grad, vb.grad), strict=True):
        np.testing.assert_allclose(own, expected.numpy(), rtol=1e-9, atol=1e-12)


def test_machine_equals_scikit_learn() -> None:
    """Probabilities, free energy and the mean pseudo-likelihood are those of BernoulliRBM with the same parameters."""
    v, w, hb, vb = _case(6, 4, 40)
    theirs = BernoulliRBM(n_components=4, random_state=0).fit(v)
    theirs.components_, theirs.intercept_hidden_, theirs.intercept_visible_ = w.T, hb, vb
    ours = _machine(w, hb, vb)
    np.testing.assert_allclose(ours.propup(v), theirs.transform(v), rtol=1e-12)
    np.testing.assert_allclose(ours.free_energy(v), theirs._free_energy(v), rtol=1e-12)
    scores = np.array([[theirs.score_samples(v).mean(), ours.pseudo_likelihood(v)] for _ in range(800)])
    error = np.sqrt(scores.var(axis=0).sum() / len(scores))
    assert abs(np.diff(scores.mean(axis=0))[0]) < 5 * error


def test_long_chains_give_the_exact_gradient() -> None:
    """CD-60 agrees with the exact gradient within six standard errors; CD-1 of the same machine is biased."""
    v, *theta = _case(4, 3, 5)
    exact = S["exact_gradient"](v, *theta)
    batch = np.tile(v, (6000, 1))
    off = {}
    for k in (1, 60):
        estimate = _machine(*theta, k=k).CD_k(batch)
        off[k] = max(np.abs(own - g).max() for own, g in zip(estimate, exact, strict=True))
    assert off[60] < 6 * 0.5 / np.sqrt(len(batch))
    assert off[1] > 12 * 0.5 / np.sqrt(len(batch))


def test_momentum_equals_torch() -> None:
    """With a gradient that is given, learn makes the steps of SGD with momentum, uphill, at a constant rate."""
    _, *theta = _case(4, 3, 5)
    machine, rng = _machine(*theta, momentum=0.7, lr=0.2), np.random.default_rng(0)
    tensors = [torch.tensor(x.copy(), requires_grad=True) for x in theta]
    optimiser = torch.optim.SGD(tensors, lr=0.2, momentum=0.7, maximize=True)
    for _ in range(4):
        gradients = [rng.normal(size=x.shape) for x in theta]
        machine.CD_k = lambda visibles, gradients=gradients: gradients
        machine.learn(np.zeros((1, 4)))
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = torch.tensor(gradient)
        optimiser.step()
    for own, tensor in zip((machine.w, machine.hb, machine.vb), tensors, strict=True):
        np.testing.assert_allclose(own, tensor.detach().numpy(), rtol=1e-12)


def test_sampler_reaches_the_distribution() -> None:
    """Long chains from one start visit every image as often as counting says, within six standard errors."""
    _, w, hb, vb = _case(4, 3, 5)
    p = _joint(w, hb, vb)
    ends = _machine(w, hb, vb).sampler(np.zeros((20_000, 4)), steps=100)
    for v in itertools.product((0, 1), repeat=4):
        q = sum(share for (x, _), share in p.items() if x == v)
        assert abs((ends == v).all(axis=1).mean() - q) < 6 * np.sqrt(max(q, 0.0025) / 20_000)


def test_training_beats_trivial_recoveries() -> None:
    """After eight passes through 500 digits, clamped recovery of unseen ones beats the clamped mean image."""
    train_data, test = S["DataSet"]("train", 50), S["DataSet"]("test").images
    train_data.images, train_data.labels, train_data.batches = train_data.images[:500], train_data.labels[:500], 10
    rbm = S["train"](train_data, 60, 8)
    mean = train_data.images.mean(axis=0)
    for share in (0.2, 0.5):
        damaged = S["damage"](test, share)
        lost = 1 - (damaged > 0).sum() / (test > 0).sum()
        assert lost == pytest.approx(share, abs=0.02)
        trivial = np.mean((np.where(damaged > 0, damaged, mean) - test) ** 2)
        assert np.mean((S["recover"](rbm, damaged, 3) - test) ** 2) < 0.75 * trivial
