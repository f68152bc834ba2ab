"""The solutions of ps5_autoencoders that use PyTorch, against closed forms, autograd, scikit-learn and scikit-image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from notebooks import solution
from skimage.metrics import peak_signal_noise_ratio
from sklearn.decomposition import PCA
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlcourse import data

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "source" / "ps5_autoencoders"
C = solution(SOURCE / "convolutional_autoencoder.ipynb")
D = solution(SOURCE / "dense_autoencoder.ipynb")
NETWORKS = ("AE", "CAE", "CAE_skip")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Random numbers are the same in every run."""
    torch.manual_seed(5)


def test_contractive_penalty_equals_the_jacobian() -> None:
    """The penalty is the mean squared Frobenius norm of what torch's own Jacobian says, gradients included."""
    encoder = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 7), nn.Sigmoid()).double()
    x = torch.randn(3, 5, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(encoder, x, create_graph=True)  # (3, 7, 3, 5)
    expected = sum(jacobian[i, :, i].square().sum() for i in range(3)) / 3
    found = C["contractive_penalty"](encoder, x)
    torch.testing.assert_close(found, expected)
    weights = list(encoder.parameters())[:3]
    torch.testing.assert_close(torch.autograd.grad(found, weights), torch.autograd.grad(expected, weights))


def test_the_linear_denoiser_shrinks() -> None:
    """The denoising loss has its minimum over matrices where theory says: C (C + σ² I)⁻¹ for covariance C."""
    mixing = torch.tensor([[2.0, 0, 0], [1, 0.5, 0], [0, 0.3, 0.1]], dtype=torch.float64)
    covariance, std = mixing @ mixing.T, 0.3
    best = covariance @ torch.linalg.inv(covariance + std**2 * torch.eye(3))
    x, noise = torch.randn(200_000, 3).double() @ mixing.T, std * torch.randn(200_000, 3).double()
    W = best.clone().requires_grad_()
    C["denoising_loss"](lambda x: x @ W.T, x, noise).backward()
    assert W.grad is not None
    assert W.grad.abs().max() < 0.02 * covariance.max()
    at_best = C["denoising_loss"](lambda x: x @ best.T, x, noise)
    assert float(at_best) == pytest.approx(float(torch.trace(covariance - best @ covariance)) / 3, rel=0.02)
    assert float(C["denoising_loss"](lambda x: x, x, noise)) == pytest.approx(std**2, rel=0.02)


def test_the_linear_autoencoder_spans_the_subspace_of_pca() -> None:
    """Ten starts end in scikit-learn's subspace, far inside the check's tolerance, though the data are not centred."""
    X = torch.randn(150, 5) * torch.tensor([2, 1.5, 0.3, 0.2, 0.1]) @ torch.linalg.qr(torch.randn(5, 5)).Q + 3
    axes = PCA(2).fit(X.numpy()).components_
    centred = (X - X.mean(dim=0)).numpy()
    least = np.mean((centred - centred @ axes.T @ axes) ** 2)
    for _ in range(10):
        V, U = C["fit_linear_autoencoder"](X, 2)
        np.testing.assert_allclose(C["projection_matrix"](U).numpy(), axes.T @ axes, atol=0.002)
        assert least <= np.mean((centred - centred @ (U @ V).numpy().T) ** 2) < 1.02 * least


def test_corruption_has_the_stated_variance() -> None:
    """Noise of factor 0.3 has variance 0.09: the error of returning the noisy input."""
    images = torch.rand(200, 1, 28, 28)
    mse, psnr = C["mse_psnr"](C["corrupt"](images, 0.3), images)
    assert mse == pytest.approx(0.09, rel=0.02)
    assert psnr == pytest.approx(10 * np.log10(1 / 0.09), abs=0.1)


def test_psnr_equals_scikit_image() -> None:
    """PSNR is that of scikit-image for a range of 1."""
    clean, x_hat = torch.rand(3, 1, 28, 28).double(), torch.rand(3, 1, 28, 28).double()
    expected = peak_signal_noise_ratio(clean.numpy(), x_hat.numpy(), data_range=1)
    assert C["mse_psnr"](x_hat, clean)[1] == pytest.approx(expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_of_the_networks(name: str) -> None:
    """Codes (N, d) with 2 ≤ d < 784, images (N, 1, 28, 28), grey values in (0, 1); a batch of one is legal."""
    for N in (1, 5):
        x_hat, code = C["autoencode"](C[name](), torch.rand(N, 1, 28, 28))
        assert x_hat.shape == (N, 1, 28, 28)
        assert code.shape == (N, C["CODE"])
        assert 0 < x_hat.min() <= x_hat.max() < 1
    assert 2 <= C["CODE"] < 784


@pytest.fixture(scope="module")
def trained() -> dict[str, Any]:
    """Each network after five epochs on the clean digits."""
    torch.manual_seed(1)
    train, test = C["train_images"], C["test_images"]
    loaders = DataLoader(TensorDataset(train, train), 64, shuffle=True), DataLoader(TensorDataset(test, test), 1000)
    networks = {name: C[name]() for name in NETWORKS}
    for network in networks.values():
        optimizer = torch.optim.Adam(network.parameters(), lr=C["LR"])
        for _ in range(5):
            C["train_log"](network, loaders[0], optimizer)
    return networks


def test_skips_bypass_the_bottleneck(trained: dict[str, Any]) -> None:
    """Without skips another image's code makes another image; with them it hardly changes the reconstruction."""
    images = C["test_images"]
    order = torch.arange(len(images)).roll(1)
    loader = DataLoader(TensorDataset(images, images), 100)
    before = {name: C["test"](network, loader) for name, network in trained.items()}
    after = {name: C["swapped_code_error"](network, images, order) for name, network in trained.items()}
    mean = float(F.mse_loss(C["train_images"].mean(0, keepdim=True).expand_as(images), images))
    assert before["CAE_skip"] < 0.2 * mean
    assert before["CAE_skip"] < 0.7 * min(before["AE"], before["CAE"])
    assert after["CAE_skip"] < 1.5 * before["CAE_skip"]
    assert after["AE"] > 1.5 * before["AE"]
    for name, network in trained.items():  # an error over all images, whatever the batches
        x_hat = C["autoencode"](network, images)[0].detach()
        assert before[name] == pytest.approx(float(F.mse_loss(x_hat, images)), rel=1e-4)


def test_the_saved_weights_are_the_trained_ones(tmp_path: Path) -> None:
    """main_wrapper's file, loaded into a fresh network, gives the last test error; noise is removed, not kept."""
    clean = C["train_images"][:300]
    noisy = C["corrupt"](clean, 0.3)
    loader = DataLoader(TensorDataset(noisy, clean), 32, shuffle=True)
    log, errors = C["main_wrapper"](loader, loader, C["CAE_skip"](), tmp_path / "weights.pt", epochs=6)
    assert (len(log), len(errors)) == (6, 6)  # ten batches in an epoch: one entry of the log
    network = C["CAE_skip"]()
    network.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert C["test"](network, loader) == pytest.approx(errors[-1], rel=1e-4)
    assert errors[-1] < 0.25 * float(F.mse_loss(noisy, clean))


def test_batches_at_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """60,000 images make 469 batches of 128, the last one of 96; every image comes once, with its label."""

    def numbered(split: str, *, full: bool = False) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(60_000 if split == "train" else 10_000)
        return np.repeat(labels % 256, 784).astype(np.uint8).reshape(-1, 28, 28), labels

    monkeypatch.setattr(data, "fashion_mnist", numbered)
    train, test = D["prepare_data"]()
    assert (len(train), len(test)) == (469, 79)
    batches = list(train)
    assert sorted(len(x) for x, _ in batches)[:2] == [96, 128]
    labels = torch.cat([y for _, y in batches])
    assert labels.sort().values.equal(torch.arange(60_000))
    assert not labels.equal(torch.arange(60_000))
    for x, y in batches:
        assert (x.dtype, x.shape[1:]) == (torch.float32, (1, 28, 28))
        torch.testing.assert_close(x[:, 0, 5, 5], (y % 256) / 255)


def test_the_dense_network_is_the_stated_one() -> None:
    """218,192 parameters; codes are rectified; the output is the composition of four dense layers."""
    network = D["Autoencoder"]()
    assert sum(p.numel() for p in network.parameters()) == 218_192
    x = torch.rand(3, 784)
    W1, b1, W2, b2, W3, b3, W4, b4 = network.parameters()
    code = ((x @ W1.T + b1).clamp(min=0) @ W2.T + b2).clamp(min=0)
    torch.testing.assert_close(network.encode(x), code)
    torch.testing.assert_close(network(x), 1 / (1 + torch.exp(-((code @ W3.T + b3).clamp(min=0) @ W4.T + b4))))


def test_training_beats_the_mean_image() -> None:
    """An untrained network's loss is what the pixels' moments say; five epochs bring it below the mean image's."""
    x = torch.from_numpy(data.fashion_mnist("test")[0][:, None] / 255).float()
    held, shown = x[1600:].flatten(1), x[:1600]
    network = D["Autoencoder"]()
    untrained = float(F.mse_loss(network(held), held).detach())
    assert untrained == pytest.approx(float(0.25 - held.mean() + held.square().mean()), rel=0.05)
    loader = DataLoader(TensorDataset(shown, torch.zeros(1600)), 64, shuffle=True)
    network, losses = D["train_autoencoder"](network, loader, epochs=5)
    mean = float((held - shown.flatten(1).mean(0)).square().mean())
    assert losses == sorted(losses, reverse=True)
    assert float(F.mse_loss(network(held), held).detach()) < 0.7 * mean
