"""The solutions of ps8_generative's VAEs against torch.distributions, autograd, sums over states and layer counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from notebooks import solution
from torch import nn
from torch.distributions import Categorical, Normal, kl_divergence

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "source" / "ps8_generative"
V = solution(SOURCE / "vae.ipynb")
C = solution(SOURCE / "conv_vae.ipynb", "q3_given")
sizes = st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**16))  # B, d (or K), seed


def _codes(B: int, d: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.uniform(-3, 3, (B, d))), torch.from_numpy(rng.uniform(-4, 2, (B, d)))


@given(sizes)
@settings(max_examples=25, deadline=None)
def test_the_bound(case: tuple[int, int, int]) -> None:
    """log P(X) - KL[Q || posterior] is the bound, for every guess; the divergence is that of torch.distributions."""
    B, K, seed = case
    logits, guess = _codes(B, K, seed)
    log_prior, q = torch.log_softmax(logits[0], 0), torch.softmax(guess, 1)
    log_posterior, log_evidence = V["log_posterior"](log_prior, logits)
    torch.testing.assert_close(log_evidence.exp(), (log_prior.exp() * logits.exp()).sum(1))
    posterior = Categorical(probs=log_prior.exp() * logits.exp())
    torch.testing.assert_close(log_posterior.exp(), posterior.probs)
    bound = V["elbo"](q, log_prior, logits)
    torch.testing.assert_close(bound, log_evidence - kl_divergence(Categorical(probs=q), posterior))
    assert (bound <= log_evidence + 1e-12).all()


@given(sizes)
@settings(max_examples=25, deadline=None)
def test_gaussian_divergence_is_that_of_torch(case: tuple[int, int, int]) -> None:
    """Both lines of the derivation, the divergence and its parts agree with torch.distributions."""
    mean, log_var = _codes(*case)
    Q, P = Normal(mean, torch.exp(log_var / 2)), Normal(0.0, 1.0)
    expected = kl_divergence(Q, P)
    log_q, log_p = V["expected_logs"](mean, log_var)
    torch.testing.assert_close(log_q, -Q.entropy())
    torch.testing.assert_close(log_q - log_p, expected)
    torch.testing.assert_close(V["kl_divergence"](mean, log_var), expected.sum(1))
    torch.testing.assert_close(V["kl_per_dimension"](mean, log_var), expected.mean(0))


def test_known_divergence() -> None:
    """The number that the formula is known by."""
    mean, log_var = torch.tensor([[1.0, -2.0]]).double(), torch.tensor([[0.0, 0.5]]).double()
    assert V["kl_divergence"](mean, log_var).item() == pytest.approx(2.5743606, abs=1e-7)
    assert V["kl_divergence"](0 * mean, 0 * log_var).item() == 0


def test_sampling_is_rsample() -> None:
    """With the same state of the generator the draw, and its gradients, are those of Normal.rsample."""
    found = []
    for draw in (V["sampling"], lambda args: Normal(args[0], torch.exp(args[1] / 2)).rsample()):
        mean, log_var = (t.requires_grad_() for t in _codes(50, 4, 3))
        torch.manual_seed(5)
        z = draw((mean, log_var))
        z.pow(2).sum().backward()
        found.append((z.detach(), mean.grad, log_var.grad))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize(
    ("d", "encoder", "decoder"), [(2, 201_988, 202_256), (8, 205_072, 203_792), (16, 209_184, 205_840)]
)
def test_parameters_of_the_dense_model(d: int, encoder: int, decoder: int) -> None:
    """Parameter counts are those of the layers 784-256-(d, d) and d-256-784."""
    m = V["vae"](d)
    counts = [sum(p.numel() for p in part.parameters()) for part in (m.encoder, m.decoder, m)]
    assert counts == [encoder, decoder, encoder + decoder]
    x_hat, z_mean, z_log_var = m(torch.rand(3, 784))
    assert (x_hat.shape, z_mean.shape, z_log_var.shape) == ((3, 784), (3, d), (3, d))
    assert x_hat.min() > 0 and x_hat.max() < 1


def test_loss_is_minus_the_bound() -> None:
    """The loss differs from minus the bound of a Gaussian with variance 1/2 by a constant of the package's making."""
    rng = np.random.default_rng(0)
    x, x_hat = (torch.from_numpy(rng.uniform(0, 1, (5, 784))) for _ in range(2))
    mean, log_var = _codes(5, 3, 1)
    fit = Normal(x_hat, 0.5**0.5).log_prob(x).sum(1) + 784 * 0.5 * np.log(np.pi)
    bound = fit - kl_divergence(Normal(mean, torch.exp(log_var / 2)), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(V["vae_loss"](x, x_hat, mean, log_var), -bound.mean())


def test_an_epoch_shows_every_picture_once() -> None:
    """Each picture is shown once in an epoch, in another order the next time, the last batch included."""
    shown: list[float] = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.grey = nn.Parameter(torch.zeros(1))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            shown.extend(x[:, 0].tolist())
            return self.grey.expand(x.shape), torch.zeros(len(x), 1), torch.zeros(len(x), 1)

    spy, images = Spy(), torch.arange(37.0)[:, None].repeat(1, 784)
    mean = V["train_epoch"](spy, images, torch.optim.SGD(spy.parameters(), lr=0), 8)
    assert sorted(shown) == list(range(37)) and shown != sorted(shown)
    assert mean == pytest.approx(784 * np.mean(np.arange(37) ** 2))


def test_manifold_by_hand() -> None:
    """Each tile is the picture of its own code: columns from left to right, rows from the top down."""
    tiles = V["manifold"](lambda z: (10 * z[:, :1] + z[:, 1:]).expand(-1, 784), 3, 2.0)
    corners = tiles.reshape(3, 28, 3, 28)[:, 5, :, 9]
    expected = [[10 * right + up for right in (-2, 0, 2)] for up in (2, 0, -2)]
    torch.testing.assert_close(corners, torch.tensor(expected).float())


def test_parameters_of_the_convolutional_model() -> None:
    """Counted by formula and by the layers themselves: 69,076 + 65,089 = 134,165, for any number of codes and width."""
    by_layer = [320, 18_496, 50_192, 34, 34], [9_408, 36_928, 18_464, 289]
    assert tuple(map(list, C["parameter_counts"]())) == by_layer
    for d in (2, 5):
        for part, counts in zip(C["conv_vae"](d), C["parameter_counts"](d), strict=True):
            assert sum(p.numel() for p in part.parameters()) == sum(counts)
    assert sum(map(sum, by_layer)) == 134_165
    convolutions = [
        nn.Conv2d(1, 32, 5),
        nn.Conv2d(32, 64, 5),
        nn.ConvTranspose2d(64, 64, 5),
        nn.ConvTranspose2d(64, 32, 5),
    ]
    sizes_of = [sum(p.numel() for p in one.parameters()) for one in convolutions]
    encoder, decoder = C["parameter_counts"](2, 5)
    assert [*encoder[:2], *decoder[1:3]] == sizes_of


def test_convolutional_model() -> None:
    """Shapes are right, pixels lie in (0, 1), and a gradient reaches every parameter of both parts."""
    torch.manual_seed(0)
    encoder, decoder = (part.double() for part in C["conv_vae"](3))
    x = torch.rand(4, 1, 28, 28, dtype=torch.float64)
    z_mean, z_log_var = encoder(x)
    x_hat = decoder(z_mean)
    assert (z_mean.shape, z_log_var.shape, x_hat.shape) == ((4, 3), (4, 3), (4, 1, 28, 28))
    assert x_hat.min() > 0 and x_hat.max() < 1
    C["vae_loss"](x, x_hat, z_mean, z_log_var).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for part in (encoder, decoder) for p in part.parameters())


def test_losses_of_both_notebooks_agree() -> None:
    """The loss of pictures is that of the same pictures as rows."""
    x, x_hat = torch.rand(2, 5, 1, 28, 28).double()
    code = _codes(5, 2, 4)
    torch.testing.assert_close(C["vae_loss"](x, x_hat, *code), V["vae_loss"](x.flatten(1), x_hat.flatten(1), *code))


def test_a_step_follows_the_gradient() -> None:
    """Without noise one step of SGD is minus the rate times the central difference of the loss."""
    torch.manual_seed(0)
    encoder, decoder = (part.double() for part in C["conv_vae"](2))
    encoder.z_log_var.bias.data.fill_(-60.0)  # no noise worth mentioning
    encoder.z_log_var.weight.data.zero_()
    x = torch.rand(3, 1, 28, 28, dtype=torch.float64)

    def loss() -> float:
        code = encoder(x)
        return C["vae_loss"](x, decoder(code[0]), *code).item()

    weights, differences = (encoder.conv1.weight, decoder.up2.weight), []
    with torch.no_grad():
        for weight in weights:
            values = []
            for sign in (1, -1):
                weight[1, 0, 1, 2] += sign * 1e-5
                values.append(loss())
                weight[1, 0, 1, 2] -= sign * 1e-5
            differences.append((values[0] - values[1]) / 2e-5)
    before, expected = [weight[1, 0, 1, 2].item() for weight in weights], loss()
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    assert C["train_step"](encoder, decoder, optimizer, x) == pytest.approx(expected, rel=1e-9)
    steps = [(old - weight[1, 0, 1, 2].item()) / 1e-3 for old, weight in zip(before, weights, strict=True)]
    assert steps == pytest.approx(differences, rel=1e-4, abs=1e-6)


def test_map_with_ticks() -> None:
    """Thirty ticks for thirty tiles, in their middles, with the coordinate that was decoded there."""
    picture, middles, coordinates = C["manifold"](lambda z: z[:, :1, None, None].expand(-1, 1, 28, 28), 30, 4.0)
    assert picture.shape == (840, 840) and len(middles) == len(coordinates) == 30
    np.testing.assert_allclose(picture[5, middles], coordinates, rtol=1e-6)
    np.testing.assert_array_equal(middles, np.arange(14, 29 * 28 + 15, 28))
