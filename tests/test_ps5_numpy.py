"""The solution of ps5_autoencoders/numpy_autoencoder against torch.autograd, scikit-learn and central differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from notebooks import solution
from scipy.optimize import approx_fprime
from sklearn.metrics import mean_squared_error

from dlcourse import data

SOURCE = Path(__file__).parents[1] / "source" / "ps5_autoencoders" / "numpy_autoencoder.ipynb"
sizes = st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 5), st.integers(0, 2**16))  # B, n, k, seed


S = solution(SOURCE, "data")
X_TEST = data.mnist("test")[0].reshape(-1, 784) / 255


def _case(B: int, n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 1, (B, n)), rng.normal(0, 0.8, (n, k)), rng.normal(0, 0.8, (k, n))


@given(sizes)
@settings(max_examples=30, deadline=None)
def test_gradients_equal_autograd(case: tuple[int, int, int, int]) -> None:
    """Loss and all six gradients are those of torch, for any batch and any layer."""
    x, w1, w2 = _case(*case)
    t1, t2 = (torch.tensor(w, requires_grad=True) for w in (w1, w2))
    h1 = torch.tensor(x) @ t1
    o1 = torch.relu(h1)
    h2 = o1 @ t2
    o2 = torch.sigmoid(h2)
    tensors = {"D_h1": h1, "D_o1": o1, "D_h2": h2, "D_o2": o2}
    for tensor in tensors.values():
        tensor.retain_grad()
    loss = torch.nn.functional.mse_loss(o2, torch.tensor(x))
    loss.backward()
    arrays = S["forward"](x, w1, w2)
    for array, tensor in zip(arrays, (h1, o1, h2, o2), strict=True):
        np.testing.assert_allclose(array, tensor.detach().numpy(), rtol=1e-12, atol=1e-15)
    assert S["mean_squared_error"](arrays[3], x) == pytest.approx(loss.item(), rel=1e-12)
    assert S["mean_squared_error"](arrays[3], x) == pytest.approx(mean_squared_error(x, arrays[3]), rel=1e-12)
    gradients = S["backward"](x, w2, arrays[1], arrays[3])
    assert list(gradients) == ["D_o2", "D_h2", "D_w2", "D_o1", "D_h1", "D_w1"]
    for name, tensor in (tensors | {"D_w1": t1, "D_w2": t2}).items():
        np.testing.assert_allclose(gradients[name], tensor.grad.numpy(), rtol=1e-9, atol=1e-15, err_msg=name)


def test_gradients_equal_differences_of_the_loss() -> None:
    """Both weight gradients belong to the loss that is printed: SciPy's differences, and the notebook's own."""
    x, w1, w2 = _case(3, 5, 4, 8)
    _, o1, _, o2 = S["forward"](x, w1, w2)
    gradients = S["backward"](x, w2, o1, o2)

    def loss(flat: np.ndarray) -> float:
        return S["mean_squared_error"](S["forward"](x, flat[:20].reshape(5, 4), flat[20:].reshape(4, 5))[3], x)

    both = np.concatenate([w1.ravel(), w2.ravel()])
    own = np.array([S["central_difference"](loss, both, (i,)) for i in range(40)])
    expected = np.concatenate([gradients["D_w1"].ravel(), gradients["D_w2"].ravel()])
    np.testing.assert_allclose(approx_fprime(both, loss, 1e-7), expected, atol=1e-6)
    np.testing.assert_allclose(own, expected, atol=1e-8)
    assert S["gradient_factor"](expected, own) == pytest.approx(1, rel=1e-6)


def test_factor_and_rate() -> None:
    """The factor is that of a least-squares fit, and rates translated by it make equal steps."""
    rng = np.random.default_rng(0)
    slopes, noise = rng.standard_normal((2, 5, 7))
    D = -3 * slopes + noise
    fitted = np.linalg.lstsq(slopes.reshape(-1, 1), D.ravel(), rcond=None)[0][0]
    assert S["gradient_factor"](D, slopes) == pytest.approx(fitted, rel=1e-12)
    for c in (1.0, 784.0, 1024 * 784.0):
        np.testing.assert_allclose(S["equivalent_rate"](0.001, c) * slopes, 0.001 * (c * slopes), rtol=1e-12)
    assert S["equivalent_rate"](0.001, 1024 * 784) == pytest.approx(802.816)
    assert S["equivalent_rate"](S["equivalent_rate"](0.3, 5.0, 9.0), 9.0, 5.0) == pytest.approx(0.3)


def test_training_is_gradient_descent_on_whole_batches() -> None:
    """Losses and weights are those of torch.optim.SGD on the consecutive whole batches; nothing given is changed."""
    x, w1, w2 = _case(23, 6, 4, 5)
    given_arrays = [array.copy() for array in (x, w1, w2)]
    found = S["train"](x, w1, w2, 4.0, 3, 5)
    t1, t2 = (torch.tensor(w, requires_grad=True) for w in (w1, w2))
    optimiser, losses = torch.optim.SGD([t1, t2], lr=4.0), []
    for _ in range(3):
        for batch in torch.tensor(x).split(5)[:4]:
            loss = torch.nn.functional.mse_loss(torch.sigmoid(torch.relu(batch @ t1) @ t2), batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    np.testing.assert_allclose(found[2], losses, rtol=1e-10)
    np.testing.assert_allclose(found[0], t1.detach().numpy(), rtol=1e-9)
    np.testing.assert_allclose(found[1], t2.detach().numpy(), rtol=1e-9)
    for old, new in zip(given_arrays, (x, w1, w2), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("rate", "low", "high"), [(0.001, 6.0, 7.5), (0.784, 1.0, 1.1), (803.0, 2.5, 4.0), (S["LEARNING_RATE"], 0.2, 0.35)]
)
def test_what_the_text_says_of_rates(rate: float, low: float, high: float) -> None:
    """The quoted rate does nothing, its other readings stop at the mean image or blow up, the own one learns."""
    digits = S["X"][:480]
    with np.errstate(over="ignore"):
        w1, w2, _ = S["train"](digits, S["w1"], S["w2"], rate, 20, 32)
        loss = np.mean((S["forward"](X_TEST, w1, w2)[3] - X_TEST) ** 2)
    assert low < loss / np.mean((digits.mean(axis=0) - X_TEST) ** 2) < high
