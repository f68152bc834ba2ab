"""The solution of ps4_pytorch/loss_landscape against scikit-learn, SciPy, autograd and a loop written by hand."""

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
from scipy.special import log_softmax
from sklearn.decomposition import PCA
from torch import nn

SOURCE = Path(__file__).parents[1] / "source" / "ps4_pytorch" / "loss_landscape.ipynb"
NOTEBOOK = nbformat.read(SOURCE, as_version=4)
seeds = st.integers(0, 2**16)


S = solution(SOURCE)


def _case(seed: int, examples: int = 9) -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    """A network of 50 parameters with three classes, inputs (N, 4) and classes (N,)."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2), nn.Tanh(), nn.Linear(2, 3, bias=False)).double()
    return model, torch.randn(examples, 4, dtype=torch.float64), torch.randint(3, (examples,))


def _plane(seed: int, dimensions: int, k: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((dimensions, k)))[0].T
    return torch.from_numpy(rng.standard_normal(dimensions)), torch.from_numpy(axes.copy())


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_loss_at_equals_scipy(seed: int) -> None:
    """At any theta it is SciPy's log-softmax of a network computed by hand; at its own, that of the model."""
    model, x, y = _case(seed)
    own = S["flatten"](model)
    assert own.tolist() == [number for p in model.parameters() for number in p.flatten().tolist()]
    assert S["loss_at"](own, model, x, y).item() == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-12)
    theta = np.random.default_rng(seed).standard_normal(len(own))
    W1, b1, W2, b2, W3 = np.split(theta, np.cumsum([24, 6, 12, 2]))
    h = np.tanh(np.tanh(x.numpy() @ W1.reshape(6, 4).T + b1) @ W2.reshape(2, 6).T + b2)
    log_probs = log_softmax(h @ W3.reshape(3, 2).T, axis=1)
    expected = -log_probs[np.arange(len(y)), y.numpy()].mean()
    assert S["loss_at"](torch.from_numpy(theta), model, x, y).item() == pytest.approx(expected, rel=1e-10)
    assert torch.equal(S["flatten"](model), own)


@given(seeds, st.sampled_from([0.0, 0.2]))
@settings(max_examples=10, deadline=None)
def test_full_batches_follow_the_gradient(seed: int, l2: float) -> None:
    """With one batch the path is gradient descent on J, by autograd on one vector; the losses are those without L2."""
    model, x, y = _case(seed)
    shapes = [p.shape for p in model.parameters()]
    names = [name for name, _ in model.named_parameters()]
    theta, expected = S["flatten"](model), []
    for _ in range(5):
        expected.append(theta.clone())
        theta.requires_grad_()
        pieces = [t.view(s) for t, s in zip(theta.split([s.numel() for s in shapes]), shapes, strict=True)]
        logits = torch.func.functional_call(model, dict(zip(names, pieces, strict=True)), (x,))
        J = F.cross_entropy(logits, y) + l2 / 2 * sum((t**2).sum() for t in pieces if t.ndim == 2)
        theta = (theta - 0.3 * torch.autograd.grad(J, theta)[0]).detach()
    expected.append(theta)
    thetas, losses = S["sgd_path"](model, x, y, 5, len(x), 0.3, l2)
    torch.testing.assert_close(thetas, torch.stack(expected))
    torch.testing.assert_close(losses, torch.stack([S["loss_at"](t, model, x, y) for t in expected]))
    assert not thetas.requires_grad and not losses.requires_grad


def test_batches_are_a_partition_in_a_new_order() -> None:
    """An epoch shows every example once, the last batch is smaller, and the next epoch has another order."""
    model, x, y = _case(1, examples=11)
    seen: list[torch.Tensor] = []
    model.register_forward_hook(lambda _m, args, _o: seen.append(args[0]) if torch.is_grad_enabled() else None)
    thetas, losses = S["sgd_path"](model, x, y, 2, 4, 0.1, every=2)
    assert [len(batch) for batch in seen] == [4, 4, 3, 4, 4, 3]
    epochs = torch.cat(seen[:3]), torch.cat(seen[3:])
    for epoch in epochs:
        assert sorted(epoch[:, 0].tolist()) == sorted(x[:, 0].tolist())
    assert not torch.equal(*epochs)
    assert len(thetas) == len(losses) == 4
    torch.testing.assert_close(thetas[-1], S["flatten"](model))


@given(seeds, st.sampled_from([(7, 20), (25, 6), (5, 5)]), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_pca_equals_scikit_learn(seed: int, shape: tuple[int, int], k: int) -> None:
    """Mean, axes but for their signs, shares, projection and its inverse are scikit-learn's."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal(shape) * np.geomspace(5, 0.5, shape[1]) + 10 * rng.standard_normal(shape[1])
    oracle = PCA(n_components=k, svd_solver="full").fit(points)
    mean, axes, shares = S["pca"](torch.from_numpy(points), k)
    np.testing.assert_allclose(mean.numpy(), oracle.mean_)
    np.testing.assert_allclose(shares.numpy(), oracle.explained_variance_ratio_)
    signs = np.sign((axes.numpy() * oracle.components_).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(axes.numpy(), signs * oracle.components_, atol=1e-7)
    fresh = torch.from_numpy(rng.standard_normal((3, shape[1])))
    coordinates = S["project"](fresh, mean, axes)
    np.testing.assert_allclose(coordinates.numpy(), oracle.transform(fresh.numpy()) * signs[:, 0], atol=1e-6)
    lifted = S["lift"](coordinates, mean, axes).numpy()
    np.testing.assert_allclose(lifted, oracle.inverse_transform(oracle.transform(fresh.numpy())), atol=1e-6)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_surface_and_gap(seed: int) -> None:
    """Rows are v and columns u; the gap at a point of the plane is zero, and off it the distance is the shortest."""
    model, x, y = _case(seed)
    P = sum(p.numel() for p in model.parameters())
    mean, axes = _plane(seed, P)
    u, v = torch.tensor([-1.0, 0.5, 2.0, 3.0]).double(), torch.tensor([0.3, -0.7]).double()
    Z = S["loss_surface"](model, x, y, mean, axes, u, v)
    assert Z.shape == (2, 4)
    for i, j in np.ndindex(2, 4):
        nn.utils.vector_to_parameters(mean + u[j] * axes[0] + v[i] * axes[1], model.parameters())
        assert Z[i, j].item() == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-10)
    normal = torch.from_numpy(np.random.default_rng(seed + 1).standard_normal(P))
    normal -= axes.T @ (axes @ normal)
    foot = mean + u[3] * axes[0] + v[1] * axes[1]
    there = torch.stack([foot, foot + 2.5 * normal / normal.norm()])
    recorded = torch.stack([S["loss_at"](theta, model, x, y) for theta in there])
    distances, gaps = S["plane_gap"](there, recorded, model, x, y, mean, axes)
    np.testing.assert_allclose(distances.numpy(), [0, 2.5], atol=1e-12)
    np.testing.assert_allclose(gaps.numpy(), [0, (Z[1, 3] - recorded[1]).item()], atol=1e-12)
