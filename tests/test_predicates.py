"""What passes and what does not: the order of the diagnosis, its words, and its rate of false alarms."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlcourse.predicates import (  # fmt: skip
    PREDICATES,
    PROPERTIES,
    Outcome,
    accuracy,
    boxes,
    close,
    decreasing,
    equal,
    finite,
    moments,
    raises,
    shape,
    unchanged,
    within,
)

TOLERANCE = {"rtol": 1e-5, "atol": 1e-6, "dtype": None}
REFERENCE = np.array([[1.5, -2.25, 3.125], [4.0625, 5.03125, -6.015625]])


def closely(value: Any, reference: Any, **params: Any) -> Outcome:
    return close(value, np.asarray(reference), TOLERANCE | params)


def test_diagnosis_stops_at_the_first_fault() -> None:
    """Type comes before shape, shape before dtype, dtype before finiteness, finiteness before the value."""
    wrong = np.full(3, np.nan, np.float32)
    asked = {"dtype": "float64"}
    assert closely("abc", REFERENCE[0], **asked).message.startswith("wrong type")
    assert closely(wrong[:2], REFERENCE[0], **asked).message == "wrong shape: got (2,), expected (3,)"
    assert closely(wrong, REFERENCE[0], **asked).message == "wrong dtype: got float32, expected float64"
    assert closely(wrong, REFERENCE[0]).message.startswith("not finite: 3 of 3")
    assert closely(np.zeros(3), REFERENCE[0]).message.startswith("wrong value")
    assert closely(REFERENCE[0], REFERENCE[0], **asked).passed


def test_close_names_the_worst_element() -> None:
    """Of several wrong elements the worst is named, with what was expected, what came, and how far it is allowed."""
    value = REFERENCE.copy()
    value[0, 1] += 1e-3
    value[1, 2] = 7
    outcome = closely(value, REFERENCE)
    assert outcome.message == "wrong value: 2 of 6 elements differ, worst at [1, 2], far outside the tolerance"
    assert outcome.detail == "at [1, 2] expected -6.01562, got 7, off by 13 (allowed 6.6e-05)"
    assert outcome.distance == pytest.approx(13.015625 / (1e-5 * 6.015625 + 1e-6 * 6.015625))


def test_close_of_one_number() -> None:
    """A single number needs no index."""
    outcome = closely(2.0, 3.0)
    assert (outcome.message, outcome.detail[:24]) == (
        "wrong value: far outside the tolerance",
        "expected 3, got 2, off b",
    )


@pytest.mark.parametrize("shape_", [(3, 1), (1, 3), (), (1,), (4,), (3, 3)])
def test_close_does_not_broadcast(shape_: tuple[int, ...]) -> None:
    """No shape but the expected one passes, though NumPy would broadcast it."""
    assert closely(np.ones(shape_), np.ones(3)).message == f"wrong shape: got {shape_}, expected (3,)"


def test_small_gradients_are_not_zero() -> None:
    """The tolerance scales with the reference: zeros for a gradient of 1e-7 fail, at any scale alike."""
    for scale in (1e-300, 1e-7, 1.0, 1e7, 1e300):
        assert not closely(np.zeros(3), scale * np.arange(1.0, 4)).passed
        assert not closely(scale * np.array([1.0, 2, 3.001]), scale * np.arange(1.0, 4)).passed
        assert closely(scale * np.array([1.0, 2, 3.00001]), scale * np.arange(1.0, 4)).passed


def test_where_the_reference_is_zero() -> None:
    """Next to larger elements, or if all is zero, rounding errors pass and wrong values do not."""
    assert closely([1e-17, 1.0], [0.0, 1.0]).passed
    assert not closely([1e-3, 1.0], [0.0, 1.0]).passed
    assert closely([1e-17, 0.0], [0.0, 0.0]).passed
    assert not closely([1e-3, 0.0], [0.0, 0.0]).passed


def test_close_without_tolerance() -> None:
    """A tolerance of zero accepts what is exact, zeros included, and nothing else."""
    assert closely([0.0, 1.0], [0.0, 1.0], rtol=0, atol=0).passed
    assert closely([0.0, 1.0], [0.0, 1.0], atol=0).passed
    assert not closely([1e-300, 1.0], [0.0, 1.0], atol=0).passed


@given(
    hnp.arrays("f8", 4, elements=st.integers(-(10**6), 10**6).map(lambda n: n / 997)),
    st.floats(0, 0.9),
    st.sampled_from(["f8", "f4"]),
)
@settings(max_examples=60, deadline=None)
def test_close_accepts_its_tolerance(reference: np.ndarray, share: float, dtype: str) -> None:
    """What lies within the tolerance passes, in float32 too; what lies at twice the tolerance fails."""
    scale = np.abs(reference).max() or 1.0
    allowed = 1e-5 * np.abs(reference) + 1e-6 * scale
    assert closely((reference + share * allowed).astype(dtype), reference).passed
    assert not closely(reference + 2 * allowed, reference).passed


@pytest.mark.parametrize("value", [[1, 0, 2], np.array([1, 0, 2], "u1"), np.array([1, 0, 2], "f2"), (1.0, False, 2)])
def test_close_takes_any_numbers(value: Any) -> None:
    """Integers, lists and half precision count where floats are expected."""
    assert closely(value, [1.0, 0.0, 2.0]).passed


EXTREMES = [np.full(40, x, d) for d in ("f2", "f4", "f8") for x in (np.nan, np.inf, np.finfo(d).max, np.finfo(d).tiny)]
EXTREMES += [np.full(40, np.iinfo(d).max, d) for d in ("u1", "i8", "u8")]
EXTREMES += [np.resize([1.0, -1.0], 40) * np.finfo("f8").max, np.frombuffer(b"\x01\x00\x80\x7f" * 40, "f4")]
PARAMS: dict[str, dict[str, Any]] = {
    "close": TOLERANCE,
    "within": {"low": 0.0, "high": 1.0},
    "accuracy": {"at_least": 0.9},
    "boxes": {"at_least": 0.9, "iou": 0.5, "pixels": 3},
    "moments": {"mean": 0.0, "std": 1.0, "z": 5.0},
    "decreasing": {"ratio": 0.5},
    "unchanged": {"names": ["0"]},
    "raises": {"exception": "ValueError"},
}
REFERENCES: dict[str, Any] = {"shape": [40], "unchanged": [np.ones(40)], "raises": [], "equal": np.ones(40)}


@pytest.mark.parametrize("kind", PREDICATES)
def test_extreme_numbers_fail_in_silence(kind: str) -> None:
    """Huge, tiny and signalling numbers fail every predicate of a value without a warning or an exception."""
    for value in [*EXTREMES, [], {}, None, "x", [None], [[1], [1, 2]], {"a": 1}, True, 1e300, 10**300]:
        given_ = [value] if kind == "unchanged" else value
        outcome = PREDICATES[kind](given_, REFERENCES.get(kind, np.ones(40)), PARAMS.get(kind, {}))
        ends = kind in ("finite", "within") and isinstance(value, np.ndarray) and value.shape == (40,)
        assert outcome.passed is False or ends
        assert outcome.passed or outcome.message


@given(hnp.arrays("f8", (2, 3), elements=st.floats(0.123456, 9.87654)), st.sampled_from(["close", "equal", "accuracy"]))
@settings(max_examples=60, deadline=None)
def test_messages_keep_the_reference(reference: np.ndarray, kind: str) -> None:
    """A message is the same for every reference that is as far off: no expected value can be read from it."""
    value = np.zeros((2, 3))
    message = PREDICATES[kind](value, reference, PARAMS.get(kind, {})).message
    numbers = {float(n) for n in re.findall(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.sub(r"\[\d, \d\]", "", message))}
    assert numbers <= {6.0, 0.0, 90.0}  # how many elements there are, the share that is right, and the share asked for
    assert "expected" not in message and "off by" not in message


def test_the_size_of_an_error_is_in_the_detail() -> None:
    """One wrong number must not tell the right one: the message is the same for 3 and for 4, the detail is not."""
    assert closely(1.0, 3.0).message == closely(1.0, 4.0).message
    assert closely(1.0, 3.0).detail != closely(1.0, 4.0).detail
    assert closely(3.0001, 3.0).message == "wrong value: just outside the tolerance"
    assert closely(3.001, 3.0).message == "wrong value: somewhat outside the tolerance"
    assert shape([2, 3], [7, 5], {}).message == "wrong shape: got (2, 3)"
    assert shape([2, 3], [7, 5], {}).detail == "expected (7, 5)"
    assert "7" not in equal("a", "7", {}).message
    assert "7" not in moments(np.linspace(0, 1, 50), None, {"mean": 7.0, "std": 7.0, "z": 5.0}).message


@pytest.mark.parametrize("value", [None, "abc", {"0": 3}, 3, [3.0], [True], ["\x1b[31m"], [[3]], [1] * 100_000, [-3]])
def test_a_shape_is_a_list_of_integers(value: Any) -> None:
    """Nothing but the very list of integers is the shape, and the message stays short."""
    outcome = shape(value, [3], {})
    assert not outcome.passed
    assert len(outcome.message) < 100
    assert shape([3], [3], {}).passed


@pytest.mark.parametrize(
    ("value", "reference"),
    [
        (1, 1.0),
        ([1, [2.0, "a"]], [1, [2, "a"]]),
        ({"a": [True]}, {"a": [True]}),
        (np.array([1, 2]), [1, 2]),
        ([1, 2], np.array([1, 2])),
        (np.array(3), 3),
        (3, np.array(3)),
        (np.array([True]), np.array([1])),
        (None, None),
        ([], []),
        (np.array([np.nan, 1]), np.array([np.nan, 1]) * 0 + [0, 1]),
    ],
)
def test_equal(value: Any, reference: Any) -> None:
    """Numbers equal across int and float, arrays equal the lists of their numbers; NaN equals nothing."""
    assert equal(value, reference, {}).passed == (not np.any(value != value))


@pytest.mark.parametrize(
    ("value", "reference", "message"),
    [
        (True, 1, "wrong type: bool, expected int"),
        (1, True, "wrong type: int, expected bool"),
        ([True], [1], "wrong value"),
        ([[0]], [[False]], "wrong value"),
        ({"a": True}, {"a": 1}, "wrong value"),
        ({"a": 1, "b": 2}, {"a": 1}, "wrong value"),
        ("1", 1, "wrong type: str, expected int"),
        (None, [1], "wrong type: NoneType, expected list"),
        ([1, 2], [1, 2, 3], "wrong value"),
        (np.array([1, 2]), ["a", "b"], "wrong type: an array, expected list"),
        (np.array([1, 2]), [1, 2, 3], "wrong shape: got (2,), expected (3,)"),
        ("ab", np.array([1, 2]), "wrong type: not an array of numbers but a value of type str"),
        (np.array([1, 5]), [1, 2], "wrong value: 1 of 2 elements differ, first at [1]"),
        (np.array([1, np.inf]), [1, 2], "not finite: 1 of 2 elements are NaN or infinite"),
        (2**1000, 1.0, "wrong value"),
        (np.array(4), 3, "wrong value"),
    ],
)
def test_not_equal(value: Any, reference: Any, message: str) -> None:
    """True is not 1 at any depth, lengths and keys count, and the diagnosis keeps its order."""
    assert equal(value, reference, {}) == Outcome(False, message, equal(value, reference, {}).detail)


def test_equal_shows_clean_text() -> None:
    """The detail of two unequal texts holds no control characters, whatever the learner's text is, and is short."""
    detail = equal("\x1b[2J\n" + "x" * 10**6, "abc", {}).detail
    assert detail.isprintable()
    assert len(detail) < 500
    assert detail.startswith("expected abc, got x")


def test_within() -> None:
    """The limits themselves are inside; the first element outside is named; the reference gives the shape."""
    params = {"low": 0.0, "high": 1.0}
    assert within([0, 1], np.zeros(2), params).passed
    outcome = within([0.5, 1.5], (), params)
    assert (outcome.message, outcome.detail) == ("out of range: 1 of 2 elements", "[1] is 1.5, allowed [0, 1]")
    assert within([0.5], np.zeros(2), params).message == "wrong shape: got (1,), expected (2,)"
    assert within([np.nan], np.zeros(1), params).message.startswith("not finite")
    assert finite([1.0], np.zeros(2), {}).message == "wrong shape: got (1,), expected (2,)"
    assert finite([np.inf, 1.0], (), {}).detail == "[0] is infinite"


def test_accuracy() -> None:
    """The share is counted over all labels; a prediction that is missing or of another shape is no prediction."""
    labels = np.array([0, 1, 2, 2])
    assert accuracy([0, 1, 2, 0], labels, {"at_least": 0.75}).passed
    assert accuracy([0, 1, 2, 0], labels, {"at_least": 0.76}).message == "accuracy 75.0% is below 76.0%"
    assert accuracy([[0], [1], [2], [2]], labels, {"at_least": 0.1}).message.startswith("wrong shape")
    assert not accuracy([np.nan] * 4, labels, {"at_least": 0.1}).passed


def test_boxes() -> None:
    """Missed, merged and additional boxes count against the answer; a thin box may be three pixels too large."""
    true = np.array([[0, 0, 40, 30], [0, 36, 40, 42], [60, 0, 100, 30]])
    grown = np.array([-1, -1, 1, 1])

    def passes(found: Any, at_least: float) -> bool:
        return boxes(found, true, {"at_least": at_least, "iou": 0.5, "pixels": 3}).passed

    assert passes(true[::-1].tolist(), 1.0)
    assert passes(true + 3 * grown, 1.0)
    assert not passes(true + 4 * grown, 1.0) and passes(true + 4 * grown, 2 / 3)
    assert passes(true[:2], 0.8) and not passes(true[:2], 0.81)
    assert passes([*true.tolist(), [200, 0, 203, 2]], 6 / 7) and not passes([*true.tolist(), [200, 0, 203, 2]], 0.86)
    assert not passes([[0, 0, 40, 42], true[2].tolist()], 0.81)
    assert not passes(np.repeat(true, 2, axis=0), 0.67)
    assert not passes(true[:, [1, 0, 3, 2]], 0.5) and not passes(true[:, [2, 3, 0, 1]], 0.1)
    for wrong in (np.zeros((0, 4)), true[:, :3], np.ones((10**6, 4)), [[0, 0, np.inf, 5]], np.full((3, 4), 1e308)):
        assert not passes(wrong, 0.01)


def test_decreasing() -> None:
    """The end lies below ratio × start, and the last quarter below the first: one lucky last value is not enough."""
    assert decreasing([4, 3, 2, 1], (), {"ratio": 0.5}).passed
    assert not decreasing([4, 3, 2.5, 2.1], (), {"ratio": 0.5}).passed
    assert not decreasing([1, 2, 3, 4, 5, 6, 7, 0.1], (), {"ratio": 0.5}).passed
    assert not decreasing([2, 1, 1, 2], (), {"ratio": 1.0}).passed
    assert decreasing([[2, 1]], (), {"ratio": 1.0}).message.startswith("wrong shape")
    assert decreasing([2.0], (), {"ratio": 1.0}).message.startswith("wrong shape")
    assert not decreasing([0.0] * 8, (), {"ratio": 0.5}).passed


def draws(name: str, rng: np.random.Generator, size: int) -> tuple[np.ndarray, float, float]:
    """Samples of a distribution, its mean and its standard deviation."""
    if name == "normal":
        return rng.standard_normal(size), 0.0, 1.0
    if name == "uniform":
        return rng.random(size), 0.5, 12**-0.5
    if name == "signs":  # of float32, whose rounding must not count
        return np.float32(rng.choice([-0.1, 0.1], size)), 0.0, 0.1
    return rng.standard_exponential(size), 1.0, 1.0


@pytest.mark.parametrize(("name", "size"), [(n, s) for n in ("normal", "uniform", "signs") for s in (30, 300)])
def test_moments_raise_no_false_alarm(name: str, size: int) -> None:
    """5,000 right samplers pass at z = 5, and at z = 2 about one in twenty fails the mean, as the bound says."""
    rng = np.random.default_rng(11)
    failed = {2.0: 0, 5.0: 0}
    for _ in range(5000):
        samples, mean, std = draws(name, rng, size)
        distance = moments(samples, (), {"mean": mean, "std": std, "z": 1.0}).distance
        for z in failed:
            failed[z] += distance > z
    assert failed[5.0] == 0
    assert 0.03 < failed[2.0] / 5000 < 0.12


def test_moments_of_heavy_tails() -> None:
    """Exponential samples pass as documented, from 10,000 on."""
    rng = np.random.default_rng(12)
    for _ in range(300):
        samples, mean, std = draws("exponential", rng, 10_000)
        assert moments(samples, (), {"mean": mean, "std": std, "z": 5.0}).passed


@pytest.mark.parametrize(
    ("factor", "shift", "which"),
    [(1.2, 0.0, "standard deviation"), (0.8, 0.0, "standard deviation"), (1.0, 0.2, "mean")],
)
def test_moments_find_wrong_samplers(factor: float, shift: float, which: str) -> None:
    """Of 2,000 samples a spread wrong by a fifth, or a mean off by a fifth of it, is found and named."""
    samples = np.random.default_rng(13).standard_normal(2000) * factor + shift
    outcome = moments(samples, (), {"mean": 0.0, "std": 1.0, "z": 5.0})
    assert outcome.message == f"wrong distribution: the {which} is more than 5 standard errors off"
    assert "expected mean 0 and std 1" in outcome.detail


def test_moments_need_samples() -> None:
    """Few samples, and samples that are all the same, fail."""
    assert moments(np.zeros(29), (), {"mean": 0.0, "std": 1.0, "z": 5.0}).message.startswith("wrong shape")
    assert not moments(np.zeros(60), (), {"mean": 0.0, "std": 1.0, "z": 5.0}).passed


def test_unchanged() -> None:
    """Any change of value, shape, dtype or text is one; the last bit of another machine's arithmetic is not."""
    names = {"names": ["x", "random state"]}
    draw = np.array([0.1, 0.2, 0.3])
    x = np.array([1.0, np.nan, np.inf, 0.0])
    assert unchanged([x, draw], [x, draw], names).passed
    assert unchanged([x * (1 + 2e-16), draw], [x, draw], names).passed
    assert unchanged([np.array(3), draw], [np.array(3), draw], names).passed
    for other in (x + 1e-9, x[:3], x.astype("f4"), np.array([1.0, 0.0, np.inf, 0.0]), [1.0], "x", None):
        assert unchanged([other, draw], [x, draw], names).message == "the argument `x` was changed in place"
    assert unchanged([x, draw + 1e-6], [x, draw], names).message == "the random state was used"
    assert unchanged(["b", draw], ["a", draw], names).message == "the argument `x` was changed in place"
    assert unchanged([np.array([3]), draw], [np.array([4]), draw], names).message.startswith("the argument")
    for malformed in (None, [], [x], [x, draw, draw], "ab", {"0": 1}):
        assert not unchanged(malformed, [x, draw], names).passed


def test_raises() -> None:
    """The exception or a base class of it counts; the message tells what came instead, cleaned and short."""
    params = {"exception": "ValueError"}
    assert raises(["UnicodeError", "ValueError", "Exception"], [], params).passed
    assert raises([], [], params).message == "no ValueError was raised"
    assert raises(["\x1b[31mKeyError\n"], [], params).message == "no ValueError was raised but KeyError"
    assert len(raises(["x" * 10**6], [], params).message) < 100
    for malformed in ("ValueError", [["ValueError"]], [1, "ValueError"], None):
        assert not raises(malformed, [], params).passed


def test_properties_are_predicates() -> None:
    """Every property is a predicate, and none of those that look at a value is one."""
    assert {"shape", "finite", "unchanged", "raises"} == PROPERTIES
    assert PREDICATES.keys() > PROPERTIES
