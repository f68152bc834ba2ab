"""The solution of ps3_recognition/training against torch, scikit-learn and counts; its questions and points."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from notebooks import solution
from sklearn.metrics import confusion_matrix, log_loss

from dlcourse import data

SOURCE = Path(__file__).parents[1] / "source" / "ps3_recognition" / "training.ipynb"
NOTEBOOK = nbformat.read(SOURCE, as_version=4)
NAMES = ("Wlayer1", "blayer1", "Woutput", "boutput")
seeds = st.integers(0, 2**16)


S = solution(SOURCE, "given", without=("q1_run",))


def _case(seed: int, number: int = 11, inputs: int = 6, hidden: int = 5, classes: int = 4) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    shapes = ((inputs, hidden), (hidden,), (hidden, classes), (classes,))
    params = {name: rng.normal(0, 0.7, shape) for name, shape in zip(NAMES, shapes, strict=True)}
    return params, rng.uniform(0, 1, (number, inputs)), np.eye(classes)[rng.integers(0, classes, number)]


def _logits(x: Any, tensors: list[torch.Tensor]) -> torch.Tensor:
    W1, b1, W2, b2 = tensors
    return torch.sigmoid(torch.as_tensor(x) @ W1 + b1) @ W2 + b2


@given(seeds, st.integers(1, 12))
@settings(max_examples=15, deadline=None)
def test_training_equals_torch(seed: int, batch_size: int) -> None:
    """Every step is one of torch's SGD on the summed cross-entropy; curves are scikit-learn's loss and plain counts."""
    params, x, y = _case(seed)
    _, valid_x, valid_y = _case(seed + 1, number=7)
    tensors = [torch.tensor(params[name], requires_grad=True) for name in NAMES]
    optimizer = torch.optim.SGD(tensors, lr=0.1)
    np.random.seed(seed)
    history = S["train"](params, x, y, valid_x, valid_y, 3, batch_size, 0.1)
    np.random.seed(seed)
    for epoch in range(3):
        for batch_x, batch_y in S["get_random_batches"](x, y, batch_size):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(
                _logits(batch_x, tensors), torch.tensor(batch_y.argmax(axis=1)), reduction="sum"
            ).backward()
            optimizer.step()
        for name, rows, labels in (("train", x, y), ("valid", valid_x, valid_y)):
            probs = torch.softmax(_logits(rows, tensors), dim=1).detach().numpy()
            expected = log_loss(labels.argmax(axis=1), probs, labels=range(4))
            assert history[name + "_loss"][epoch] == pytest.approx(expected, rel=1e-9)
            assert history[name + "_acc"][epoch] == np.mean(probs.argmax(axis=1) == labels.argmax(axis=1))
    for name, tensor in zip(NAMES, tensors, strict=True):
        np.testing.assert_allclose(params[name], tensor.detach().numpy(), rtol=1e-9, atol=1e-12)


@given(seeds, st.floats(0.1, 300))
@settings(max_examples=15, deadline=None)
def test_probabilities_equal_torch(seed: int, scale: float) -> None:
    """The network is torch's, rows sum to one however large the weights are, and pictures are left alone."""
    params, x, _ = _case(seed)
    params = {name: scale * value for name, value in params.items()}
    tensors = [torch.tensor(params[name]) for name in NAMES]
    kept = x.copy()
    probs = S["probabilities"](x, params)
    np.testing.assert_allclose(probs, torch.softmax(_logits(x, tensors), dim=1).numpy(), rtol=1e-8, atol=1e-14)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(x, kept)


def test_what_is_given_keeps_its_contract() -> None:
    """Initial weights, sigmoid, total loss and batches are as in the notebook that builds them."""
    params: dict[str, Any] = {}
    S["initialize_weights"](1024, 64, params, "layer1")
    limit = (6 / 1088) ** 0.5
    assert params["Wlayer1"].shape == (1024, 64) and np.abs(params["Wlayer1"]).max() <= limit
    assert params["Wlayer1"].var() == pytest.approx(2 / 1088, rel=0.03)
    assert params["blayer1"].shape == (64,) and not params["blayer1"].any()
    np.testing.assert_array_equal(S["sigmoid"](np.array([-1000.0, 0.0, 1000.0])), [0, 0.5, 1])
    loss, acc = S["compute_loss_and_acc"](np.repeat(np.eye(4), 10, axis=0), np.full((40, 4), 0.25))
    assert (loss, acc) == (pytest.approx(40 * np.log(4)), 0.25)
    x = np.arange(23)[:, None]
    batches = S["get_random_batches"](x, 2 * x, 5)
    assert [len(rows) for rows, _ in batches] == [5, 5, 5, 5, 3]
    assert all((labels == 2 * rows).all() for rows, labels in batches)
    assert sorted(np.concatenate([rows for rows, _ in batches]).ravel()) == list(range(23))


def test_weight_images_are_upright() -> None:
    """Laid out as weights, the rows of the data set are the characters as they were drawn."""
    rows, _ = data.nist36("valid")
    expected = np.array([[[rows[k, 32 * x + y] for x in range(32)] for y in range(32)] for k in (0, 170, 2000)])
    np.testing.assert_array_equal(S["weight_images"](rows[[0, 170, 2000]].T), expected)


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_relative_changes_equal_torch(seed: int) -> None:
    """Norms of columns as torch takes them."""
    before, after = np.random.default_rng(seed).normal(0, 1, (2, 9, 4))
    change, length = (torch.linalg.vector_norm(torch.tensor(part), dim=0) for part in (after - before, before))
    np.testing.assert_allclose(S["relative_changes"](before, after), (change / length).numpy(), rtol=1e-12)


@given(seeds, st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_confusion_is_counted_right(seed: int, number: int) -> None:
    """The matrix is scikit-learn's; the pairs are those of a count over all mistakes."""
    rng = np.random.default_rng(seed)
    labels, probs = rng.integers(0, 6, number), rng.dirichlet(np.ones(6), number)
    said = probs.argmax(axis=1)
    matrix = S["confusion_matrix"](np.eye(6)[labels], probs)
    np.testing.assert_array_equal(matrix, confusion_matrix(labels, said, labels=range(6)))
    pairs = Counter(tuple(sorted((int(t), int(p)))) for t, p in zip(labels, said, strict=True) if t != p)
    expected = [("ZAYBXC"[a], "ZAYBXC"[b], n) for (a, b), n in sorted(pairs.items(), key=lambda i: (-i[1], i[0]))]
    assert S["top_pairs"](matrix, "ZAYBXC", 4) == expected[:4]


def test_rate_study_changes_the_rate_alone() -> None:
    """Each run of the study is the run that its rate and seed give on their own."""
    _, x, y = _case(3)
    runs = S["rate_study"](x, y, x, y, 2, 4, 0.05, hidden=3, seed=9)
    assert [rate for rate, _, _ in runs] == pytest.approx([0.5, 0.05, 0.005])
    for rate, params, history in runs:
        np.random.seed(9)
        alone: dict[str, Any] = {}
        S["initialize_weights"](6, 3, alone, "layer1")
        S["initialize_weights"](3, 4, alone, "output")
        assert history == S["train"](alone, x, y, x, y, 2, 4, rate)
        for name in NAMES:
            np.testing.assert_array_equal(params[name], alone[name])
