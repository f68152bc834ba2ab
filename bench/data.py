"""How hard the data sets are that the course draws: accuracies of the networks that the assignments train on them.

python bench/data.py                  garments, letters and pages, three seeds each; about two minutes
python bench/data.py --sheets FOLDER  also pictures with examples of every class
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import color, filters, measure, transform
from torch import nn

from dlcourse.data import FASHION, LETTERS, fashion_mnist, nist36, text_images

EPOCHS = 50  # of the letters' network
Classifier = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sheets", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    garments(arguments.seeds)
    networks = letters(arguments.seeds)
    pages(networks)
    if arguments.sheets:
        sheets(arguments.sheets)


def garments(seeds: int) -> None:
    """A linear classifier, the smallest network of the assignment and a larger one: Adam, 20 epochs, batches of 64."""
    start = time.perf_counter()
    images, _ = fashion_mnist("train")
    print(f"fashion_mnist: read or made in {time.perf_counter() - start:.1f} s")
    print(f"  mean {images.mean() / 255:.3f}, standard deviation {images.std() / 255:.3f}")
    widths = {"linear": (), "3 hidden layers of 50": (50, 50, 50), "256 and 128": (256, 128)}
    for name, hidden in widths.items():
        accuracies, confusion = [], np.zeros((10, 10), int)
        for seed in range(seeds):
            accuracy, found = _trained(hidden, seed)
            accuracies.append(accuracy)
            confusion += found
        print(f"  {name}: test accuracy {_spread(accuracies)}")
    print(f"  most confused: {_pairs(confusion, FASHION, 5)}")


def _trained(hidden: tuple[int, ...], seed: int) -> tuple[float, np.ndarray]:
    torch.manual_seed(seed)
    (x, y), (x_test, y_test) = (
        (torch.tensor(images.reshape(-1, 784) / 255, dtype=torch.float32), torch.tensor(labels))
        for images, labels in (fashion_mnist("train"), fashion_mnist("test"))
    )
    sizes = (784, *hidden)
    layers = [part for a, b in zip(sizes, hidden, strict=False) for part in (nn.Linear(a, b), nn.ReLU())]
    network = nn.Sequential(*layers, nn.Linear(sizes[-1], 10))
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(20):
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
            optimiser.step()
    with torch.no_grad():
        predicted = network(x_test).argmax(1)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (y_test.numpy(), predicted.numpy()), 1)
    return float((predicted == y_test).float().mean()), confusion


def letters(seeds: int) -> list[Classifier]:
    """One hidden layer of 64 sigmoid units, plain gradient descent on the total loss of a batch, EPOCHS of them."""
    start = time.perf_counter()
    images, labels = nist36("train")
    print(f"nist36: read or made in {time.perf_counter() - start:.1f} s")
    valid, answers = nist36("valid")
    networks = []
    for batch, rate in ((8, 0.0025), (8, 0.005), (32, 0.01)):
        accuracies, confusion = [], np.zeros((36, 36), int)
        for seed in range(seeds):
            network = classifier(*descended(images, labels, batch, rate, seed))
            predicted, true = network(valid), answers.argmax(1)
            accuracies.append(float((predicted == true).mean()))
            np.add.at(confusion, (true, predicted), 1)
            networks.append(network)
        print(f"  batches of {batch}, rate {rate}: validation accuracy {_spread(accuracies)}")
    print(f"  most confused: {_pairs(confusion, LETTERS, 8)}")
    return networks


def descended(
    images: np.ndarray, labels: np.ndarray, batch: int, rate: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weights and biases of both layers."""
    rng = np.random.default_rng(seed)
    first, second = np.sqrt(6 / (1024 + 64)), np.sqrt(6 / (64 + 36))
    w1, b1 = rng.uniform(-first, first, (1024, 64)), np.zeros(64)
    w2, b2 = rng.uniform(-second, second, (64, 36)), np.zeros(36)
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        for start in range(0, len(images), batch):
            x, y = images[order[start : start + batch]], labels[order[start : start + batch]]
            hidden = 1 / (1 + np.exp(-(x @ w1 + b1)))
            logits = hidden @ w2 + b2
            probs = np.exp(logits - logits.max(1, keepdims=True))
            delta = probs / probs.sum(1, keepdims=True) - y
            back = delta @ w2.T * hidden * (1 - hidden)
            w2, b2 = w2 - rate * hidden.T @ delta, b2 - rate * delta.sum(0)
            w1, b1 = w1 - rate * x.T @ back, b1 - rate * back.sum(0)
    return w1, b1, w2, b2


def classifier(w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: np.ndarray) -> Classifier:
    return lambda x: ((1 / (1 + np.exp(-(x @ w1 + b1)))) @ w2 + b2).argmax(1)


def pages(networks: list[Classifier]) -> None:
    """Letters read right: blurred, Otsu's threshold, connected pieces, square crops with a margin, the networks."""
    start = time.perf_counter()
    drawn = [page for seed in range(5) for page in text_images(seed)]
    print(f"text_images: {len(drawn)} pages made in {time.perf_counter() - start:.1f} s")
    for name in ("list", "letters", "haiku", "deep"):
        rates = []
        for page in (page for page in drawn if page.name == name):
            grey = filters.gaussian(color.rgb2gray(page.image), 1)
            ink = grey < filters.threshold_otsu(grey)
            pieces = [piece.bbox for piece in measure.regionprops(measure.label(ink)) if piece.area > 60]
            nearest = [min(pieces, key=lambda piece: np.abs(np.array(piece) - box).sum()) for box in page.boxes]
            crops = np.stack([_crop(ink, box) for box in nearest])
            true = [LETTERS.index(character) for character in page.text if not character.isspace()]
            rates += [float((network(crops) == true).mean()) for network in networks]
        print(f"  {name}: letters right {_spread(rates)}")


def _crop(ink: np.ndarray, box: tuple[int, ...]) -> np.ndarray:
    y1, x1, y2, x2 = box
    side = round(1.35 * max(y2 - y1, x2 - x1))
    down, across = side - (y2 - y1), side - (x2 - x1)
    margins = ((down // 2, down - down // 2), (across // 2, across - across // 2))
    square = np.pad(ink[y1:y2, x1:x2].astype(float), margins)
    return transform.resize(square, (32, 32), anti_aliasing=True).T.reshape(-1)


def sheets(folder: Path) -> None:
    """Examples of every garment (a row each) and of every character (a column each), and the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = fashion_mnist("train")
    rows = np.stack([images[labels == label][:24] for label in range(10)])  # (10, 24, 28, 28)
    _sheet(rows, folder / "garments.png")
    flat, one_hot = nist36("train")
    upright = (255 * flat).round().astype(np.uint8).reshape(-1, 32, 32).transpose(0, 2, 1)
    columns = np.stack([upright[one_hot[:, label] == 1][:8] for label in range(36)], axis=1)  # (8, 36, 32, 32)
    _sheet(columns, folder / "letters.png")
    for page in text_images():
        Image.fromarray((255 * page.image).round().astype(np.uint8)).save(folder / f"page_{page.name}.jpg", quality=80)


def _sheet(grid: np.ndarray, path: Path) -> None:
    rows, columns, height, width = grid.shape
    Image.fromarray(grid.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)).save(path, optimize=True)


def _spread(values: list[float]) -> str:
    return f"{min(values):.1%} to {max(values):.1%} (mean {np.mean(values):.1%})"


def _pairs(confusion: np.ndarray, names: tuple[str, ...] | str, number: int) -> str:
    both = np.triu(confusion + confusion.T, 1)
    pairs = (np.unravel_index(place, both.shape) for place in np.argsort(-both, axis=None)[:number])
    return ", ".join(f"{names[a]} and {names[b]} {both[a, b]}" for a, b in pairs)


if __name__ == "__main__":
    main()
