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

from dlcourse.payload import PayloadError, to_array


@dataclass(frozen=True)
class Outcome:
    """The result of one predicate.

    Attributes:
        passed: whether the value is accepted.
        message: what is wrong, without any expected value, so that it may be shown for a hidden check.
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


def _not_finite(array: np.ndarray) -> Outcome | None:
    bad = ~np.isfinite(array)
    if not bad.any():
        return None
    worst = tuple(np.argwhere(bad)[0])
    what = "NaN" if np.isnan(array[worst]) else "infinite"
    return Outcome(
        False, f"not finite: {int(bad.sum())} of {array.size} elements are NaN or infinite", f"{_index(worst)} is {what}"
    )


def shape(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """Equal shapes: no broadcasting, (n, 1) is not (n,)."""
    got, expected = value if isinstance(value, list) else None, list(reference)
    if got is None:
        return Outcome(False, "wrong type: the value has no shape")
    if got == expected:
        return Outcome(True)
    return Outcome(False, f"wrong shape: got {tuple(got)}, expected {tuple(expected)}")


def close(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """|value − reference| ≤ rtol·|reference| + atol·max|reference| in every element.

    ``atol`` counts relative to the largest element, so that a gradient of 1e-7 does not pass as zero.
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
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    if failed := _not_finite(got):
        return failed
    if expected.size == 0:
        return Outcome(True, distance=0.0)
    scale = float(np.abs(expected).max()) or 1.0
    tolerance = params["rtol"] * np.abs(expected) + params["atol"] * scale
    with np.errstate(over="ignore"):
        ratio = np.abs(got - expected) / tolerance
    worst = tuple(np.unravel_index(int(ratio.argmax()), ratio.shape))
    distance = float(ratio[worst])
    if distance <= 1:
        return Outcome(True, distance=distance)
    wrong = int((ratio > 1).sum())
    off = abs(float(got[worst]) - float(expected[worst]))
    where = f"{wrong} of {got.size} elements differ, worst at {_index(worst)}, " if worst else ""
    message = f"wrong value: {where}off by {off:.2g} (allowed {float(tolerance[worst]):.2g})"
    at = f"at {_index(worst)} " if worst else ""
    detail = f"{at}expected {_number(float(expected[worst]))}, got {_number(float(got[worst]))}"
    return Outcome(False, message, detail, distance)


def equal(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """Exact equality of plain values or of arrays."""
    if isinstance(reference, np.ndarray):
        got = _array(value)
        if isinstance(got, Outcome):
            return got
        if got.shape != reference.shape:
            return Outcome(False, f"wrong shape: got {got.shape}, expected {reference.shape}")
        same = np.equal(got, reference)
        if same.all():
            return Outcome(True, distance=0.0)
        worst = tuple(np.argwhere(~same)[0])
        return Outcome(
            False,
            f"wrong value: {int((~same).sum())} of {got.size} elements differ, first at {_index(worst)}",
            f"first at {_index(worst)}: expected {reference[worst]}, got {got[worst]}",
        )
    if type(value) is not type(reference) and not (_is_number(value) and _is_number(reference)):
        return Outcome(False, f"wrong type: {type(value).__name__}, expected {type(reference).__name__}")
    if value == reference:
        return Outcome(True, distance=0.0)
    return Outcome(False, "wrong value", f"expected {str(reference)[:200]!s}, got {str(value)[:200]!s}")


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
    worst = tuple(np.argwhere(outside)[0])
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
    share = float(np.mean(np.equal(got, labels)))
    if share >= params["at_least"]:
        return Outcome(True)
    return Outcome(False, f"accuracy {share:.1%} is below {params['at_least']:.1%}")


def moments(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """Mean and standard deviation of independent samples agree with a distribution.

    The bound is ``z`` standard errors: z = 5 rejects a right sampler once in 1.7 million draws for each moment. The
    standard error of the standard deviation uses the samples' own fourth moment.
    """
    got = _array(value)
    if isinstance(got, Outcome):
        return got
    samples = got.astype(np.float64).ravel()
    if samples.size < 30:
        return Outcome(False, f"wrong shape: {samples.size} samples are too few")
    if failed := _not_finite(samples):
        return failed
    mean, std, z, n = params["mean"], params["std"], params["z"], samples.size
    off_mean = abs(samples.mean() - mean) / (std / math.sqrt(n))
    centred = samples - samples.mean()
    variance = float(np.mean(centred**2))
    spread = math.sqrt(max(float(np.mean(centred**4)) - variance**2, 0.0) / n) / (2 * std)
    off_std = abs(math.sqrt(variance) - std) / max(spread, 1e-12 * std)
    distance = max(off_mean, off_std) / z
    if distance <= 1:
        return Outcome(True, distance=distance)
    which = "mean" if off_mean > off_std else "standard deviation"
    return Outcome(
        False,
        f"wrong distribution: the {which} is {max(off_mean, off_std):.1f} standard errors off (allowed {z:g})",
        f"expected mean {_number(mean)} and std {_number(std)}, "
        f"got {_number(samples.mean())} and {_number(math.sqrt(variance))} over {n} samples",
        distance,
    )


def decreasing(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """A curve ends at most at ``ratio`` times its start, and its last quarter lies below its first."""
    got = _array(value)
    if isinstance(got, Outcome):
        return got
    if got.ndim != 1 or got.size < 2:
        return Outcome(False, f"wrong shape: got {got.shape}, expected a curve of at least two values")
    if failed := _not_finite(got):
        return failed
    quarter = max(got.size // 4, 1)
    start, end = float(got[:quarter].mean()), float(got[-quarter:].mean())
    if float(got[-1]) <= params["ratio"] * float(got[0]) and end < start:
        return Outcome(True)
    return Outcome(False, f"not decreasing enough: from {_number(float(got[0]))} to {_number(float(got[-1]))}")


def unchanged(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """Arguments and the next random draws after a call are what they were before it, bit for bit."""
    if not isinstance(value, list) or len(value) != len(reference):
        return Outcome(False, "wrong type: the arguments after the call cannot be compared")
    for part, expected, name in zip(value, reference, params["names"], strict=True):
        outcome = equal(part, expected, params)
        if not outcome.passed:
            what = "the random state was used" if name == "random state" else f"the argument `{name}` was changed in place"
            return Outcome(False, what)
    return Outcome(True)


def raises(value: Any, reference: Any, params: dict[str, Any]) -> Outcome:
    """A call raised the expected exception or a subclass of it."""
    if not isinstance(value, list):
        return Outcome(False, "wrong type")
    if params["exception"] in value:
        return Outcome(True)
    return Outcome(False, f"no {params['exception']} was raised" + (f" but {value[0]}" if value else ""))


PREDICATES: dict[str, Callable[[Any, Any, dict[str, Any]], Outcome]] = {
    f.__name__: f for f in (shape, close, equal, within, finite, accuracy, moments, decreasing, unchanged, raises)
}
# Properties hold for trivial answers too (an array of zeros has a shape and is finite): alone they earn no point.
PROPERTIES = frozenset({"shape", "finite", "unchanged", "raises"})
