"""The solution of ps5_autoencoders/momentum_autoencoder against torch, scikit-image and central differences."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from notebooks import solution
from scipy.optimize import approx_fprime
from skimage.metrics import peak_signal_noise_ratio

from dlcourse import data

SOURCE = Path(__file__).parents[1] / "source" / "ps5_autoencoders" / "momentum_autoencoder.ipynb"
LAYERS = ("layer1", "layer2", "layer3", "output")
sizes = st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 5), st.integers(0, 2**16))  # B, n, k, seed


S = solution(SOURCE, "layers")


def _network(B: int, n: int, k: int, seed: int) -> tuple[np.ndarray, Counter]:
    rng = np.random.default_rng(seed)
    params = S["initialize_autoencoder"](n, k)
    for name in LAYERS:
        params["W" + name] = rng.normal(0.1, 0.7, params["W" + name].shape)
        params["b" + name] = rng.normal(0.2, 0.4, params["b" + name].shape)
    return rng.uniform(0, 1, (B, n)), params


def _torch_network(params: Counter) -> tuple[torch.nn.Sequential, dict[str, torch.Tensor]]:
    """The same network from torch's own layers, and its parameters by the names of the notebook."""
    modules, tensors = [], {}
    for name in LAYERS:
        layer = torch.nn.Linear(*params["W" + name].shape, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(params["W" + name].T))
            layer.bias.copy_(torch.tensor(params["b" + name]))
        tensors |= {"W" + name: layer.weight, "b" + name: layer.bias}
        modules += [layer, torch.nn.Sigmoid() if name == "output" else torch.nn.ReLU()]
    return torch.nn.Sequential(*modules), tensors


@given(sizes)
@settings(max_examples=25, deadline=None)
def test_gradients_equal_autograd(case: tuple[int, int, int, int]) -> None:
    """Reconstruction, total squared error and all gradients are those of torch."""
    x, params = _network(*case)
    network, tensors = _torch_network(params)
    inputs = torch.tensor(x, requires_grad=True)
    outputs = network(inputs)
    loss = torch.nn.functional.mse_loss(outputs, torch.tensor(x), reduction="sum")
    loss.backward()
    x_hat = S["reconstruct"](x, params)
    np.testing.assert_allclose(x_hat, outputs.detach().numpy(), rtol=1e-12)
    total, delta = S["squared_error"](x, x_hat)
    assert total == pytest.approx(loss.item(), rel=1e-12)
    np.testing.assert_allclose(S["backpropagate"](delta, params), inputs.grad.numpy(), rtol=1e-8, atol=1e-13)
    for key, tensor in tensors.items():
        expected = tensor.grad.numpy().T if key.startswith("W") else tensor.grad.numpy()
        np.testing.assert_allclose(params["grad_" + key], expected, rtol=1e-8, atol=1e-13, err_msg=key)


def test_gradients_equal_differences_of_the_loss() -> None:
    """The gradient of every layer belongs to the total squared error, by SciPy's differences."""
    x, params = _network(2, 5, 3, 4)
    S["backpropagate"](S["squared_error"](x, S["reconstruct"](x, params))[1], params)
    for key in [kind + name for name in LAYERS for kind in "Wb"]:
        shape = params[key].shape

        def loss(flat: np.ndarray, key: str = key, shape: tuple[int, ...] = shape) -> float:
            moved = params.copy()
            moved[key] = flat.reshape(shape)
            return S["squared_error"](x, S["reconstruct"](x, moved))[0]

        numeric = approx_fprime(params[key].ravel(), loss, 1e-7).reshape(shape)
        np.testing.assert_allclose(params["grad_" + key], numeric, atol=1e-5, err_msg=key)


def test_training_equals_torch() -> None:
    """Momentum, schedule and losses are those of torch.optim.SGD with StepLR, on one batch of all images."""
    x, params = _network(5, 6, 4, 3)
    network, tensors = _torch_network(params)
    # torch multiplies the memory by the rate of the moment; with the rate in the gradient both are the same rule
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0, momentum=0.9)
    losses = []
    for epoch in range(45):
        loss = ((network(torch.tensor(x)) - torch.tensor(x)) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()
        for parameter in network.parameters():
            parameter.grad *= 0.004 * 0.8 ** (epoch // 20)
        optimiser.step()
        losses.append(loss.item())
    np.testing.assert_allclose(S["train"](x, params, 45, 5, 0.004), losses, rtol=1e-8)
    for key, tensor in tensors.items():
        expected = tensor.detach().numpy()
        np.testing.assert_allclose(params[key], expected.T if key.startswith("W") else expected, rtol=1e-7, atol=1e-10)


def test_schedule_equals_step_lr() -> None:
    """The rate of every epoch is that of torch's StepLR."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-5)
    scheduler = torch.optim.lr_scheduler.StepLR(optimiser, step_size=20, gamma=0.8)
    for epoch in range(100):
        assert S["rate_of_epoch"](epoch) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-12)
        optimiser.step()
        scheduler.step()


def test_first_weights_and_size() -> None:
    """Four layers 1024-32-32-32-1024 with 68,704 numbers, uniform within the bound, and memories that read as zero."""
    params = S["initialize_autoencoder"]()
    assert sum(value.size for value in params.values()) == 68_704
    assert [params["W" + name].shape for name in LAYERS] == [(1024, 32), (32, 32), (32, 32), (32, 1024)]
    for name in LAYERS:
        bound = (6 / sum(params["W" + name].shape)) ** 0.5
        assert 0.98 * bound < np.abs(params["W" + name]).max() <= bound
        assert params["W" + name].var() == pytest.approx(2 / sum(params["W" + name].shape), rel=0.2)
        assert params["M_W" + name] == params["M_b" + name] == 0


@given(st.integers(0, 2**16), st.sampled_from([1.0, 2.0, 255.0]))
@settings(max_examples=25, deadline=None)
def test_psnr_equals_scikit_image(seed: int, largest: float) -> None:
    """The PSNR is scikit-image's, the average that of the single images, the gain their difference."""
    x, x_hat = np.random.default_rng(seed).uniform(0, largest, (2, 4, 9))
    expected = [peak_signal_noise_ratio(a, b, data_range=largest) for a, b in zip(x, x_hat, strict=True)]
    for a, b, decibels in zip(x, x_hat, expected, strict=True):
        assert S["psnr"](a, b, largest) == pytest.approx(decibels, rel=1e-10)
    if largest == 1.0:
        constant = [peak_signal_noise_ratio(a, x.mean(axis=0), data_range=1.0) for a in x]
        assert S["average_psnr"](x, x_hat) == pytest.approx(np.mean(expected), rel=1e-10)
        gain = np.mean(expected) - np.mean(constant)
        assert S["gain_in_db"](x, x_hat, x.mean(axis=0)) == pytest.approx(gain, rel=1e-8, abs=1e-10)


def test_letters_are_reconstructed() -> None:
    """A short training on letters beats the mean image in loss and in PSNR; the grid shows upright pictures."""
    np.random.seed(0)
    x, y = data.nist36("valid")
    params = S["initialize_autoencoder"]()
    losses = S["train"](x[::2], params, 30, 8)
    mean_image = x[::2].mean(axis=0)
    assert losses[-1] < 0.8 * np.sum((x[::2] - mean_image) ** 2)
    unseen, labels = x[1::2], y[1::2]
    x_hat = S["reconstruct"](unseen, params)
    assert S["gain_in_db"](unseen, x_hat, mean_image) > 1
    grid = S["side_by_side"](unseen, x_hat, labels, [8, 0])
    np.testing.assert_array_equal(grid[0], unseen[np.argmax(labels[:, 8])].reshape(32, 32).T)
    mean_l = np.tile(x[y[:, 11] == 1].mean(axis=0), (2, 1))
    upright = S["side_by_side"](mean_l, mean_l, np.ones((2, 1)), [0])[0]
    assert upright[16:, :16].sum() > 1.5 * upright[:16, 16:].sum()  # an L has its ink below and to the left
