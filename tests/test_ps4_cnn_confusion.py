"""The solution of ps4_pytorch/cnn_confusion against PyTorch's modules, scikit-learn, counting and Adam by hand."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from notebooks import solution
from sklearn import metrics
from torch import nn

SOURCE = Path(__file__).parents[1] / "source" / "ps4_pytorch" / "cnn_confusion.ipynb"
NOTEBOOK = nbformat.read(SOURCE, as_version=4)


S = solution(SOURCE)
seeds = st.integers(0, 2**16)


@given(st.integers(16, 32), st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(2, 12))
@settings(max_examples=12, deadline=None)
def test_plan_is_what_pytorch_makes(size: int, c1: int, c2: int, kernel: int, classes: int) -> None:
    """Sizes, parameters and logits are those of a network of PyTorch's own modules with the same weights."""
    convolutions = nn.Conv2d(1, c1, kernel), nn.Conv2d(c1, c2, kernel)
    x, sizes = torch.rand(3, 1, size, size), []
    h = x
    for convolution in convolutions:
        for layer in (convolution, nn.Sequential(nn.MaxPool2d(2), nn.ReLU())):
            h = layer(h)
            sizes.append(h.shape[-1])
    linear = nn.LazyLinear(classes)
    expected = linear(h.flatten(1))
    layers = [*convolutions, linear]
    counts = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    assert S["cnn_plan"](size, (c1, c2), kernel, classes) == (sizes, counts)
    network = S["DigitCNN"](size, (c1, c2), kernel, classes)
    for own, layer in zip((network.conv1, network.conv2, network.linear), layers, strict=True):
        own.load_state_dict(layer.state_dict())
    torch.testing.assert_close(network(x), expected)
    torch.testing.assert_close(network(x[:1]), expected[:1])


@pytest.mark.parametrize("batch_size", [1, 4, 11, 50])
def test_evaluation_only_looks(batch_size: int) -> None:
    """Loss and predictions are those of one pass over everything, and the model stays as it was, mode included."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))
    x, y = torch.randn(11, 1, 3, 3), torch.randint(5, (11,))
    model.eval()
    expected = model(x).detach()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for mode in (True, False):
        model.train(mode)
        loss, predicted = S["evaluate"](model, x, y, batch_size)
        assert model.training is mode
        assert loss == pytest.approx(metrics.log_loss(y, expected.double().softmax(dim=1), labels=range(5)), rel=1e-5)
        np.testing.assert_array_equal(predicted, expected.argmax(dim=1))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_training_by_hand() -> None:
    """Weights and history are those of Adam written out from its paper, for one batch an epoch."""
    rng = np.random.default_rng(4)
    x, y, vx, vy = rng.normal(size=(9, 4)), rng.integers(0, 3, 9), rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False)).double()
    W = model[1].weight.detach().numpy().T.copy()

    def probs(inputs: np.ndarray) -> np.ndarray:
        e = np.exp(inputs @ W)
        return e / e.sum(axis=1, keepdims=True)

    images, val = torch.from_numpy(x).reshape(9, 1, 2, 2), torch.from_numpy(vx).reshape(6, 1, 2, 2)
    history = S["train"](model, images, torch.from_numpy(y), val, torch.from_numpy(vy), 5, 20, 0.1)
    m, v = np.zeros_like(W), np.zeros_like(W)
    for t in range(1, 6):
        p = probs(x)
        assert history["train_loss"][t - 1] == pytest.approx(-np.log(p[range(9), y]).mean())
        g = x.T @ (p - np.eye(3)[y]) / 9
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        W -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        assert history["val_loss"][t - 1] == pytest.approx(metrics.log_loss(vy, probs(vx), labels=range(3)))
        assert history["val_accuracy"][t - 1] == pytest.approx(metrics.accuracy_score(vy, probs(vx).argmax(axis=1)))
    np.testing.assert_allclose(model[1].weight.detach().numpy().T, W, rtol=1e-9)


@given(seeds, st.integers(2, 9), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_matrix_and_rates_equal_scikit_learn(seed: int, classes: int, number: int) -> None:
    """Counts, recall and precision are scikit-learn's, with NaN for what is undefined."""
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, classes, (2, number))
    matrix = S["confusion_matrix"](true, predicted, classes)
    labels = range(classes)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(true, predicted, labels=labels))
    recall, precision = S["recall_and_precision"](matrix)
    given_ = {"labels": labels, "average": None, "zero_division": np.nan}
    np.testing.assert_allclose(recall, metrics.recall_score(true, predicted, **given_))
    np.testing.assert_allclose(precision, metrics.precision_score(true, predicted, **given_))


@given(seeds, st.integers(2, 7), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_pairs_by_counting_images(seed: int, classes: int, top: int) -> None:
    """The pairs are those that counting image by image finds, ties in order, and none that never happened."""
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, classes, (2, 25))
    pairs = S["confused_pairs"](S["confusion_matrix"](true, predicted, classes), top)
    images = [tuple(sorted(both)) for both in zip(true.tolist(), predicted.tolist(), strict=True) if both[0] != both[1]]
    expected = sorted({(-images.count(pair), *pair) for pair in images})[:top]
    assert pairs == [(i, j, -number) for number, i, j in expected]
