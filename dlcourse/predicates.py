"""What it means to pass a check. The learner's own check and the judge call the same functions.

Each predicate takes decoded values and returns an ``Outcome``. They diagnose in the order type, shape, dtype, finite,
value, and stop at the first that fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcourse.payload import PayloadError, clean, to_array


@dataclass(frozen=True)
class Outcome:
    """The result of one predicate.

    Attributes:
        passed: whether the value is accepted.
        message: what is wrong, without any expected value or how far off it is, from which one could be worked out, so
            that it may be shown for a hidden check.
        detail: the worst element with expected and got, for checks that the learner can see anyway.
        distance: how far the value is from the reference in units of the tolerance (1 is the limit); NaN where
            the predicate has no such measure.
    """

    passed: bool
    message: str = ""
    detail: str = ""
    distance: float = math.nan


def _number(value: float) -> str:
    return f"{value:.6g}"


def _index(position: tuple[Any, ...]) -> str:
    return "[" + ", ".join(str(int(i)) for i in position) + "]" if position else "this number"


def _array(value: Any) -> np.ndarray | Outcome:
    try:
        return to_array(value)
    except PayloadError as error:
        return Outcome(False, f"wrong type: {error}")


def _first(mask: np.ndarray) -> tuple[int, ...]:
    """Where the first True of ``mask`` is."""
    return tuple(int(i) for i in np.unravel_index(int(mask.argmax()), mask.shape))


def _floats(array: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # a signalling NaN
        return array.astype(np.float64)


def _not_finite(array: np.ndarray) -> Outcome | None:
    bad = ~np.isfinite(array)
    if not bad.any():
        return None
    worst = _first(bad)
    what = "NaN" if np.isnan(array[worst]) else "infinite"
    return Outcome(
        False,
        f"not finite: {int(bad.sum())} of {array.size} elements are NaN or infinite",
        f"{_index(worst)} is {what}",
    )


def shape(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """Equal shapes: no broadcasting, (n, 1) is not (n,)."""
    if not isinstance(value, list) or len(value) > 64 or not all(type(n) is int for n in value):
        return Outcome(False, "wrong type: the value has no shape")
    expected = list(reference)
    if value == expected:
        return Outcome(True)
    return Outcome(False, f"wrong shape: got {tuple(value)}", f"expected {tuple(expected)}")


def close(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """|value − reference| ≤ rtol·|reference| + atol·max|reference| in every element.

    ``atol`` counts relative to the largest element, so that a gradient of 1e-7 does not pass as zero. A reference of
    nothing but zeros has no scale of its own: there ``atol`` is absolute, since 1e-17 from rounding is a right answer.
    """
    got = _array(value)
    if isinstance(got, Outcome):
        return got
    expected = to_array(reference)
    if got.shape != expected.shape:
        return Outcome(False, f"wrong shape: got {got.shape}, expected {expected.shape}")
    dtype = params.get("dtype")
    if dtype and got.dtype != np.dtype(dtype):
        return Outcome(False, f"wrong dtype: got {got.dtype}, expected {dtype}")
    got, expected = _floats(got), _floats(expected)
    if failed := _not_finite(got):
        return failed
    if expected.size == 0:
        return Outcome(True, distance=0.0)
    scale = float(np.abs(expected).max()) or 1.0
    tolerance = params["rtol"] * np.abs(expected) + params["atol"] * scale
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        off = np.abs(got - expected)
        ratio = np.where(off == 0, 0.0, off / tolerance)  # what is exact passes a tolerance of zero, too
    distance = float(ratio.max())
    if distance <= 1:
        return Outcome(True, distance=distance)
    wrong = int((ratio > 1).sum())
    # shown is the largest error in the unit of the value: what a reader takes for the worst
    worst = tuple(np.unravel_index(int(np.where(ratio > 1, off, -1.0).argmax()), ratio.shape))
    where = f"{wrong} of {got.size} elements differ, worst at {_index(worst)}, " if worst else ""
    at = f"at {_index(worst)} " if worst else ""
    detail = f"{at}expected {_number(float(expected[worst]))}, got {_number(float(got[worst]))}, "
    detail += f"off by {float(off[worst]):.2g} (allowed {float(tolerance[worst]):.2g})"
    return Outcome(False, f"wrong value: {where}{_how_far(distance)}", detail, distance)


def _how_far(distance: float) -> str:
    """A distance in words too coarse to work the expected value out."""
    for limit, words in ((10, "just outside"), (1000, "somewhat outside")):
        if distance < limit:
            return f"{words} the tolerance"
    return "far outside the tolerance"


def equal(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """Exact equality of plain values or of arrays; a list of numbers equals the array of these numbers."""
    if isinstance(value, np.ndarray) or isinstance(reference, np.ndarray):
        return _equal_arrays(value, reference)
    if type(value) is not type(reference) and not (_is_number(value) and _is_number(reference)):
        return Outcome(False, f"wrong type: {type(value).__name__}, expected {type(reference).__name__}")
    if _same(value, reference):
        return Outcome(True, distance=0.0)
    return Outcome(False, "wrong value", f"expected {clean(str(reference))}, got {clean(str(value))}")


def _equal_arrays(value: Any, reference: Any) -> Outcome:
    got, expected = _array(value), _array(reference)
    if isinstance(got, Outcome):
        return got
    if isinstance(expected, Outcome):
        return Outcome(False, f"wrong type: an array, expected {type(reference).__name__}")
    if got.shape != expected.shape:
        return Outcome(False, f"wrong shape: got {got.shape}, expected {expected.shape}")
    if np.isfinite(expected).all() and (failed := _not_finite(got)):
        return failed
    with np.errstate(invalid="ignore"):
        different = np.not_equal(got, expected)
    if not different.any():
        return Outcome(True, distance=0.0)
    where = _first(different)
    detail = f"expected {expected[where]}, got {got[where]}"
    if not where:
        return Outcome(False, "wrong value", detail)
    first = f"first at {_index(where)}"
    message = f"wrong value: {int(different.sum())} of {got.size} elements differ, {first}"
    return Outcome(False, message, f"{first}: {detail}")


def _same(value: Any, reference: Any) -> bool:
    """Equality of plain values in which True is not 1, at any depth."""
    if isinstance(value, list) and isinstance(reference, list):
        return len(value) == len(reference) and all(map(_same, value, reference))
    if isinstance(value, dict) and isinstance(reference, dict):
        return value.keys() == reference.keys() and all(_same(value[key], reference[key]) for key in reference)
    return bool(value == reference) and isinstance(value, bool) == isinstance(reference, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def within(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """low ≤ value ≤ high in every element."""
    got = _array(value)
    if isinstance(got, Outcome):
        return got
    expected_shape = tuple(reference.shape) if isinstance(reference, np.ndarray) else None
    if expected_shape is not None and got.shape != expected_shape:
        return Outcome(False, f"wrong shape: got {got.shape}, expected {expected_shape}")
    if failed := _not_finite(got):
        return failed
    low, high = params["low"], params["high"]
    outside = (got < low) | (got > high)
    if not outside.any():
        return Outcome(True)
    worst = _first(outside)
    return Outcome(
        False,
        f"out of range: {int(outside.sum())} of {got.size} elements",
        f"{_index(worst)} is {_number(float(got[worst]))}, allowed [{_number(low)}, {_number(high)}]",
    )


def finite(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """Neither NaN nor infinity, and the reference's shape."""
    got = _array(value)
    if isinstance(got, Outcome):
        return got
    if isinstance(reference, np.ndarray) and got.shape != reference.shape:
        return Outcome(False, f"wrong shape: got {got.shape}, expected {reference.shape}")
    return _not_finite(got) or Outcome(True)


def accuracy(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """The share of predictions equal to the labels is at least ``at_least``."""
    got = _array(value)
    if isinstance(got, Outcome):
        return got
    labels = to_array(reference)
    if got.shape != labels.shape:
        return Outcome(False, f"wrong shape: got {got.shape}, expected one prediction for each of {labels.shape}")
    with np.errstate(invalid="ignore"):
        share = float(np.mean(np.equal(got, labels)))
    if share >= params["at_least"]:
        return Outcome(True)
    return Outcome(False, f"accuracy {share:.1%} is below {params['at_least']:.1%}")


def boxes(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """Boxes [y1, x1, y2, x2] agree with the true ones: 2 · matches / (found + true) is at least ``at_least``.

    A match has an intersection over union of at least ``iou`` (one half or more, so that a box matches one true box),
    or every side within ``pixels`` of the true one, which is fairer to thin boxes. The true boxes do not overlap.
    """
    got = _array(value)
    if isinstance(got, Outcome):
        return got
    true = _floats(to_array(reference)).reshape(-1, 4)
    if got.ndim != 2 or got.shape[1] != 4:
        return Outcome(False, f"wrong shape: got {got.shape}, expected four numbers for each box")
    if len(got) > 100 + 10 * len(true):
        return Outcome(False, f"wrong value: {len(got)} boxes are far too many")
    found = _floats(got)
    if failed := _not_finite(found):
        return failed
    found = np.clip(found, -1e9, 1e9)[:, None]  # (found, 1, 4)
    common = _area(np.maximum(found[..., :2], true[:, :2]), np.minimum(found[..., 2:], true[:, 2:]))
    union = _area(found[..., :2], found[..., 2:]) + _area(true[:, :2], true[:, 2:]) - common
    match = (common > 0) & (common >= params["iou"] * union) | (np.abs(found - true) <= params["pixels"]).all(axis=-1)
    matches = min(int(match.any(axis=0).sum()), int(match.any(axis=1).sum()))
    share = 2 * matches / max(len(got) + len(true), 1)
    if share >= params["at_least"]:
        return Outcome(True)
    return Outcome(False, f"the boxes agree with the true ones to {share:.1%}, which is below {params['at_least']:.1%}")


def _area(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Of boxes from ``low`` to ``high``, shape (…, 2) each; zero where there is nothing between them."""
    return np.clip(high - low, 0, None).prod(axis=-1)


def moments(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """Mean and standard deviation of independent samples agree with a distribution.

    The bound is ``z`` standard errors: z = 5 rejects a right sampler of normal numbers, or of any with lighter tails
    (uniform numbers, coin flips), about once in a million draws for each moment. The standard error of the standard
    deviation comes from the samples' own fourth moment, but is never taken to be smaller than that of normal numbers:
    few samples, or samples that missed their tail, show too small a one. Heavy tails (exponential, events of 10 %)
    need 10,000 samples for this.
    """
    got = _array(value)
    if isinstance(got, Outcome):
        return got
    samples = _floats(got).ravel()
    if samples.size < 30:
        return Outcome(False, f"wrong shape: {samples.size} samples are too few")
    if failed := _not_finite(samples):
        return failed
    mean, std, z, n = params["mean"], params["std"], params["z"], samples.size
    with np.errstate(over="ignore", invalid="ignore"):
        got_mean, got_std = samples.mean(), samples.std()
        fourth = np.mean((samples - got_mean) ** 4)
        spread = np.sqrt(max(fourth - got_std**4, 2 * std**4) / n) / (2 * std)
        off_mean, off_std = float(abs(got_mean - mean) / (std / math.sqrt(n))), float(abs(got_std - std) / spread)
    distance = max(off_mean, off_std) / z
    if distance <= 1 and math.isfinite(off_std):
        return Outcome(True, distance=distance)
    which = "mean" if off_mean > off_std else "standard deviation"
    return Outcome(
        False,
        f"wrong distribution: the {which} is more than {z:g} standard errors off",
        f"{max(off_mean, off_std):.1f} standard errors; expected mean {_number(mean)} and std {_number(std)}, "
        f"got {_number(float(got_mean))} and {_number(float(got_std))} over {n} samples",
        distance,
    )


def decreasing(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """A curve ends at most at ``ratio`` times its start, and its last quarter lies below its first."""
    got = _array(value)
    if isinstance(got, Outcome):
        return got
    if got.ndim != 1 or got.size < 2:
        return Outcome(False, f"wrong shape: got {got.shape}, expected a curve of at least two values")
    curve = _floats(got)
    if failed := _not_finite(curve):
        return failed
    quarter = max(curve.size // 4, 1)
    with np.errstate(over="ignore"):
        start, end = curve[:quarter].mean(), curve[-quarter:].mean()
    if float(curve[-1]) <= params["ratio"] * float(curve[0]) and end < start:
        return Outcome(True)
    return Outcome(False, f"not decreasing enough: from {_number(float(curve[0]))} to {_number(float(curve[-1]))}")


def unchanged(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """Arguments and the next random draws after a call are what they were before it.

    Floating-point arguments may differ by 1e-12 of their largest element: the reference may come from another machine,
    whose ``exp`` rounds the inputs of a test differently in the last bit.
    """
    if not isinstance(value, list) or len(value) != len(reference):
        return Outcome(False, "wrong type: the arguments after the call cannot be compared")
    for part, expected, name in zip(value, reference, params["names"], strict=True):
        if not _left_alone(part, expected):
            what = (
                "the random state was used" if name == "random state" else f"the argument `{name}` was changed in place"
            )
            return Outcome(False, what)
    return Outcome(True)


def _left_alone(part: Any, expected: Any) -> bool:
    if not (isinstance(part, np.ndarray) and isinstance(expected, np.ndarray)):
        return equal(part, expected, {}).passed
    if part.shape != expected.shape or part.dtype != expected.dtype:
        return False
    if part.dtype.kind != "f":
        return np.array_equal(part, expected)
    part, expected = _floats(part), _floats(expected)
    finite = np.abs(expected[np.isfinite(expected)])
    with np.errstate(over="ignore"):
        return np.allclose(part, expected, rtol=0, atol=1e-12 * finite.max(initial=0.0), equal_nan=True)


def raises(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """A call raised the expected exception or a subclass of it."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return Outcome(False, "wrong type: no list of the names of exceptions")
    if params["exception"] in value:
        return Outcome(True)
    return Outcome(False, f"no {params['exception']} was raised" + (f" but {clean(value[0], 60)}" if value else ""))


PREDICATES: dict[str, Callable[[Any, Any, dict[str, Any]], Outcome]] = {
    f.__name__: f
    for f in (shape, close, equal, within, finite, accuracy, boxes, moments, decreasing, unchanged, raises)
}
# Properties hold for trivial answers too (an array of zeros has a shape and is finite): alone they earn no point.
PROPERTIES = frozenset({"shape", "finite", "unchanged", "raises"})
