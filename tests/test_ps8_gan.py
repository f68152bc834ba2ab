"""The solution of ps8_generative/gan against autograd, SciPy, closed forms and counts; its game and its promises."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from notebooks import solution
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from torch import nn

SOURCE = Path(__file__).parents[1] / "source" / "ps8_generative" / "gan.ipynb"
NOTEBOOK = nbformat.read(SOURCE, as_version=4)


S = solution(SOURCE)
seeds = st.integers(0, 2**16)


@given(seeds, st.sampled_from([1.0, 0.9, 0.6]))
@settings(max_examples=15, deadline=None)
def test_best_discriminator_is_the_maximum(seed: int, target: float) -> None:
    """Slope, maximum and losses at equilibrium are those that a search and autograd find for the value itself."""
    rng = np.random.default_rng(seed)
    p, q, D = rng.dirichlet(np.ones(4)) + 0.01, rng.dirichlet(np.ones(4)) + 0.01, rng.uniform(0.1, 0.9, 4)
    d = torch.tensor(D, requires_grad=True)
    (torch.tensor(p) * d.log() + torch.tensor(q) * (1 - d).log()).sum().backward()
    np.testing.assert_allclose(S["game_slope"](p, q, D), d.grad.numpy(), rtol=1e-10)

    def d_loss(u: float, real: float, fake: float) -> float:
        return float(-real * (target * np.log(u) + (1 - target) * np.log(1 - u)) - fake * np.log(1 - u))

    best = S["best_discriminator"](p, q, target)
    for k in range(4):
        found = minimize_scalar(d_loss, bounds=(1e-6, 1 - 1e-6), args=(p[k], q[k]), method="bounded")
        assert best[k] == pytest.approx(found.x, abs=1e-4)
    found = minimize_scalar(d_loss, bounds=(1e-6, 1 - 1e-6), args=(1, 1), method="bounded")
    assert S["equilibrium_losses"](target) == pytest.approx((found.fun, -np.log(found.x)), abs=1e-4)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_value_of_the_game(seed: int) -> None:
    """The divergence is SciPy's distance squared, zeros included, and -2 ln 2 + 2 JSD is the value against D*."""
    rng = np.random.default_rng(seed)
    p, q = (rng.dirichlet(np.ones(6)) * (rng.random(6) < 0.7) + 1e-12 * (np.arange(6) == 0) for _ in range(2))
    p, q = p / p.sum(), q / q.sum()
    assert S["jensen_shannon"](p, q) == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-9)
    p, q = p + 0.01, q + 0.01
    p, q = p / p.sum(), q / q.sum()
    value = S["game_value"](p, q, S["best_discriminator"](p, q))
    assert value == pytest.approx(-2 * np.log(2) + 2 * jensenshannon(p, q) ** 2, abs=1e-9)
    assert S["equilibrium_losses"]() == pytest.approx((1.3863, 0.6931), abs=5e-5)


def test_slopes_equal_autograd() -> None:
    """The two derivatives that are compared are those of the two losses."""
    a = torch.linspace(-6, 6, 25, dtype=torch.float64, requires_grad=True)
    for slope, loss in zip(
        S["generator_slopes"](a.detach().numpy()), (torch.log(1 - torch.sigmoid(a)), F.softplus(-a)), strict=True
    ):
        np.testing.assert_allclose(slope, torch.autograd.grad(loss.sum(), a)[0].numpy(), rtol=1e-8)


def test_networks_by_hand() -> None:
    """Sizes are those of the course outline, and the forward passes those of the formula, pictures of any shape."""
    D, G = S["Discriminator"](784, 32, 1), S["Generator"](100, 32, 784)
    assert [sum(p.numel() for p in network.parameters()) for network in (D, G)] == [110_849, 114_800]
    x, z = torch.rand(3, 784) * 2 - 1, torch.rand(3, 100) * 2 - 1
    for network, given_, last in ((D, x, lambda h: h), (G, z, torch.tanh)):
        h = given_
        for layer in (network.fc1, network.fc2, network.fc3):
            h = h @ layer.weight.T + layer.bias
            h = torch.where(h > 0, h, 0.2 * h)
        expected = last(h @ network.fc4.weight.T + network.fc4.bias)
        network.eval()
        torch.testing.assert_close(network(given_), expected)
    torch.testing.assert_close(D(x.view(3, 1, 28, 28)), D(x))
    assert D(x[:1]).shape == (1, 1)


def test_losses_by_hand() -> None:
    """The numbers that the exercise is known by, and large logits stay finite."""
    twos = torch.full((4, 1), 2.0)
    found = [S["real_loss"](twos), S["real_loss"](twos, smooth=True), S["fake_loss"](twos)]
    assert [loss.item() for loss in found] == pytest.approx([0.126928, 0.326928, 2.126928], abs=1e-6)
    assert S["real_loss"](0 * twos).item() == pytest.approx(0.693147, abs=1e-6)
    assert S["real_loss"](-100 * twos).item() == pytest.approx(200)


def test_steps_are_descent() -> None:
    """Each step moves its own network against the gradient of its loss and leaves the other where it was."""
    torch.manual_seed(0)
    D, G = nn.Linear(5, 1).double(), nn.Linear(3, 5).double()
    x, z = torch.rand(4, 5, dtype=torch.float64), torch.rand(4, 3, dtype=torch.float64)
    real, fake = D(x), D(G(z))
    d_loss = (0.9 * F.softplus(-real) + 0.1 * F.softplus(real)).mean() + F.softplus(fake).mean()
    d_expected = [p - 0.3 * g for p, g in zip(D.parameters(), torch.autograd.grad(d_loss, D.parameters()), strict=True)]
    before = [p.clone() for p in G.parameters()]
    sgd = torch.optim.SGD(D.parameters(), lr=0.3)
    assert S["discriminator_step"](D, G, sgd, x, z) == pytest.approx(d_loss.item())
    torch.testing.assert_close(list(D.parameters()), d_expected)
    torch.testing.assert_close(list(G.parameters()), before)
    g_loss = F.softplus(-D(G(z))).mean()
    g_expected = [p - 0.3 * g for p, g in zip(G.parameters(), torch.autograd.grad(g_loss, G.parameters()), strict=True)]
    assert S["generator_step"](D, G, torch.optim.SGD(G.parameters(), lr=0.3), z) == pytest.approx(g_loss.item())
    torch.testing.assert_close(list(G.parameters()), g_expected)
    torch.testing.assert_close(list(D.parameters()), d_expected)


def test_score_equals_scipy() -> None:
    """Coverage is the exponential of SciPy's entropy of the counted classes; confidence a mean of maxima."""
    for seed in range(5):
        probs = np.random.default_rng(seed).dirichlet(np.full(10, 0.2), 15)
        counts = [(probs.argmax(axis=1) == c).sum() for c in range(10)]
        assert S["score"](probs) == pytest.approx((np.mean([max(row) for row in probs]), np.exp(entropy(counts))))


def test_the_loop_finds_the_data() -> None:
    """A game of one pixel moves to the data, and the same seed gives the same curves."""
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        D, G = nn.Sequential(nn.Linear(1, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)), nn.Linear(2, 1)
        data = 0.6 + 0.1 * torch.randn(60, 1)
        runs.append(S["train_gan"](D, G, data, 30, torch.rand(50, 2) * 2 - 1, batch_size=20, lr=0.02))
    d_losses, g_losses, samples = runs[0]
    assert (len(d_losses), len(g_losses), samples.shape) == (30, 30, (30, 50, 1))
    assert abs(samples[15:].mean().item() - 0.6) < 0.3
    assert runs[1][:2] == (d_losses, g_losses)
