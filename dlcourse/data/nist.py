"""Letters and digits: 36 classes drawn on the spot in the form of NIST36, or the original files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import numpy as np

from dlcourse.data.cache import CACHE, cached
from dlcourse.data.letters import LETTERS, SIZE, letters
from dlcourse.errors import CourseError

Part = Literal["train", "valid", "test"]

WEIGHTS = Path(__file__).parents[1] / "weights" / "nist36.safetensors"

_SEED: dict[Part, int] = {"train": 36, "valid": 37, "test": 38}
_PER_CLASS: dict[Part, int] = {"train": 300, "valid": 100, "test": 50}
_CHECKSUM = {
    "train": "6cae457165e931c5ad8f831aff9deb12f09047b538cfb1c7a0c41a36cd979407",
    "valid": "76305e69f6a3f7fb49c0641f746200d186caaa5955063ac56ec93445a7e30676",
    "test": "9aa53cc317d552ff1b86abb2fb7a056bffa069f841aa25f9af1a3c6b4a99a04a",
}


def nist36(
    split: Part = "train", *, full: str | Path | None = None, folder: str | Path = CACHE
) -> tuple[np.ndarray, np.ndarray]:
    """Read images of letters and digits, in the layout of NIST36 (CMU 16-720, homework 5).

    Args:
        split: "train", "valid" (sorted by class) or "test".
        full: the folder with the original files nist36_train.mat, nist36_valid.mat and nist36_test.mat. By default
            10,800, 3,600 and 1,800 characters drawn in many hands, each class as often as the others.
        folder: where what was drawn is kept.

    Returns:
        Images, float64 from 0 (ground) to 1 (ink), shape (N, 1024): each row is a *transposed* 32 × 32 image, so that
        ``row.reshape(32, 32).T`` stands upright. Labels, float64, one-hot, shape (N, 36), columns as in ``LETTERS``.

    Raises:
        CourseError: no such split, or a file that is missing or holds something else.
    """
    if split not in _SEED:
        raise CourseError(f'There is no split "{split}". Take "train", "valid" or "test".')
    if full is not None:
        return _original(split, Path(full).expanduser())
    labels = np.repeat(np.arange(len(LETTERS)), _PER_CLASS[split])
    if split != "valid":
        labels = np.random.RandomState(_SEED[split]).permutation(labels)

    def make() -> bytes:
        return letters(labels, _SEED[split]).transpose(0, 2, 1).tobytes()

    content = np.frombuffer(cached(f"nist36-{split}", _CHECKSUM[split], make, folder), np.uint8)
    return content.reshape(-1, SIZE * SIZE) / 255, np.eye(len(LETTERS))[labels]


def letter_network() -> dict[str, np.ndarray]:
    """Read the weights of a network that knows letters and digits: 1024 inputs, 64 sigmoid units, 36 classes.

    It was trained on ``nist36("train")`` by ``make models``; the figures stand beside the weights.

    Returns:
        Float64 arrays: "Wlayer1" (1024, 64), "blayer1" (64,), "Woutput" (64, 36), "boutput" (36,); rows are examples,
        so that ``x @ Wlayer1 + blayer1`` is the preactivation of ``x``, shape (N, 1024).
    """
    from safetensors.numpy import load_file

    return {name: values.astype(np.float64) for name, values in load_file(WEIGHTS).items()}


def write_nist36(target: str | Path) -> None:
    """Write what ``nist36`` draws into three .mat files named and laid out as the original ones."""
    from scipy.io import savemat

    target = Path(target)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as unfinished:
        for split in _SEED:
            images, labels = nist36(split)
            path = Path(unfinished) / f"nist36_{split}.mat"
            savemat(path, {f"{split}_data": images, f"{split}_labels": labels}, do_compression=True)
            path.replace(target / path.name)


def _original(split: Part, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    path = folder / f"nist36_{split}.mat"
    names = [f"{split}_data", f"{split}_labels"]
    if not path.is_file():
        raise CourseError(f"There is no file {path}. Unpack the original data and give the folder with the .mat files.")
    try:
        found = loadmat(path, appendmat=False, variable_names=names)
    except Exception as error:  # the reader raises a dozen kinds, zlib's and struct's among them
        raise CourseError(f"{path} cannot be read as a MATLAB file ({error}). Unpack or fetch it again.") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise CourseError(f"{path} holds no {' and no '.join(missing)}. It is not the file of this name of NIST36.")
    images, labels = (found[name] for name in names)
    problem = _problem(images, labels)
    if problem:
        raise CourseError(f"{path} is not a file of NIST36: {problem}.")
    return images.astype(np.float64), labels.astype(np.float64)


def _problem(images: np.ndarray, labels: np.ndarray) -> str | None:
    if images.ndim != 2 or images.shape[1] != SIZE * SIZE or not len(images):
        return f"the images have shape {images.shape}, not (N, {SIZE * SIZE})"
    if labels.shape != (len(images), len(LETTERS)):
        return f"the labels have shape {labels.shape}, not {(len(images), len(LETTERS))}"
    if any(values.dtype.kind not in "buif" for values in (images, labels)):
        return "images and labels are not numbers"
    if not (images.min() >= 0 and images.max() <= 1):
        return f"the images go from {images.min()} to {images.max()}, not from 0 to 1"
    if not (((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all()):
        return "some rows of the labels are not one-hot"
    return None
