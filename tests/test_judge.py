"""The verdict: points only for values that arrived and are right, whatever else a submission sends."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcourse.grading.judge import CAUSES, MAX_EMISSIONS, Failure, Reference, gravest, judge_cell
from dlcourse.payload import encode_array, encode_json
from dlcourse.predicates import PREDICATES, PROPERTIES

CLOSE = {"rtol": 1e-5, "atol": 1e-6, "dtype": None}
ARRAY = np.array([[0.37, -1.91], [2.53, 4.79]])
REFERENCES = {
    "shape": Reference("shape", [2, 2]),
    "close": Reference("close", ARRAY, CLOSE),
    "equal": Reference("equal", {"names": ["a", "b"], "n": 3}),
    "integers": Reference("equal", np.arange(4)),
    "within": Reference("within", np.array([0.5]), {"low": 0.0, "high": 1.0}),
    "finite": Reference("finite", np.zeros(2)),
    "accuracy": Reference("accuracy", np.array([1, 2, 3]), {"at_least": 0.6}),
    "boxes": Reference("boxes", np.array([[0, 0, 9, 5]]), {"at_least": 0.9, "iou": 0.5, "pixels": 3}),
    "moments": Reference("moments", np.zeros(50), {"mean": 0.0, "std": 1.0, "z": 5.0}),
    "decreasing": Reference("decreasing", np.array([2.0, 1.0]), {"ratio": 0.6}),
    "unchanged": Reference("unchanged", [np.ones(2), np.ones(3)], {"names": ["0", "random state"]}),
    "raises": Reference("raises", ["ValueError"], {"exception": "ValueError"}),
}
RIGHT: dict[str, Any] = {
    "shape": encode_json([2, 2]),
    "close": encode_array(ARRAY.astype("f4")),
    "equal": encode_json({"n": 3, "names": ("a", "b")}),
    "integers": encode_json([0, 1, 2, 3]),
    "within": encode_array([0.25]),
    "finite": encode_array([1, 2]),
    "accuracy": encode_array([1, 2, 0]),
    "boxes": encode_array([[0, 1, 8, 5]]),
    "moments": encode_array(np.resize([-1.0, 1.0], 60)),
    "decreasing": encode_array([3, 2, 1.5]),
    "unchanged": {"list": [encode_array(np.ones(2)), encode_array(np.ones(3))]},
    "raises": encode_json(["UnicodeError", "ValueError"]),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


def emission(label: str, value: Any = None, kind: str | None = None) -> dict[str, Any]:
    return {"kind": kind or REFERENCES[label].kind, "label": label, "value": RIGHT[label] if value is None else value}


def judge_one(label: str, *emissions: Any, hidden: bool = True) -> Any:
    ref = REFERENCES[label]
    ref = Reference(ref.kind, ref.value, ref.params, hidden=hidden)
    return judge_cell({label: ref}, emissions, 2.0)


def cell(*weights: float, kind: str = "close") -> dict[str, Reference]:
    """Checks "0", "1", … with these weights, all of whose references are 1."""
    return {str(n): Reference(kind, np.array(1.0), CLOSE, weight) for n, weight in enumerate(weights)}


def sent(passed: list[bool]) -> list[dict[str, Any]]:
    return [{"kind": "close", "label": str(n), "value": encode_array(float(right))} for n, right in enumerate(passed)]


def test_all_right() -> None:
    """A right value for every check gives exactly the points, no cause and no message."""
    verdict = judge_cell(REFERENCES, [emission(label) for label in RIGHT], 7.0)
    assert (verdict.score, verdict.max_score, verdict.cause) == (7.0, 7.0, None)
    assert all(check.passed and check.message == "" and check.cause is None for check in verdict.checks)
    assert [check.label for check in verdict.checks] == list(REFERENCES)


@pytest.mark.parametrize("label", REFERENCES)
def test_one_wrong(label: str) -> None:
    """A wrong value of any kind costs its weight and is named, and only it."""
    emissions = [emission(other) for other in RIGHT if other != label] + [
        emission(label, encode_array(np.full(3, 1e9)))
    ]
    verdict = judge_cell(REFERENCES, emissions, float(len(REFERENCES)))
    assert verdict.score == pytest.approx(len(REFERENCES) - 1)
    assert verdict.cause == "wrong"
    assert [check.label for check in verdict.checks if not check.passed] == [label]
    assert next(check for check in verdict.checks if check.label == label).message


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), min_size=1, max_size=6), st.floats(0.1, 100))
@settings(max_examples=100, deadline=None)
def test_score_bounds(checks: list[tuple[float, bool]], points: float) -> None:
    """The score lies within [0, points], is points when all pass, and each further passed check never lowers it."""
    weights, passed = [weight for weight, _ in checks], [right for _, right in checks]
    score = judge_cell(cell(*weights), sent(passed), points).score
    assert 0 <= score <= points
    if sum(weights) > 0:
        assert score == pytest.approx(points * (sum(w for w, p in checks if p) / sum(weights)))
        assert judge_cell(cell(*weights), sent([True] * len(checks)), points).score == points
    for n in range(len(checks)):
        more = [right or n == m for m, right in enumerate(passed)]
        assert judge_cell(cell(*weights), sent(more), points).score >= score


@pytest.mark.parametrize("passed", [True, False])
def test_cells_without_weight_give_nothing(passed: bool) -> None:
    """Where no check counts, or there is none, no point is earned."""
    assert judge_cell(cell(0, 0), sent([passed, True]), 3.0).score == 0.0
    assert judge_cell({}, sent([passed]), 3.0).score == 0.0


def test_failed_checks_without_weight_cost_nothing() -> None:
    """A check of weight 0 shows its diagnosis and takes no point, and the cell has no cause."""
    verdict = judge_cell(cell(1, 0), sent([True, False]), 3.0)
    assert (verdict.score, verdict.cause) == (3.0, None)
    assert verdict.checks[1].message.startswith("wrong value")


def test_properties_alone_earn_nothing() -> None:
    """A shape, finiteness, inputs left alone and an exception give points only next to a right value."""
    properties = [label for label in REFERENCES if REFERENCES[label].kind in PROPERTIES]
    references = {label: REFERENCES[label] for label in ["close", *properties]}
    alone = judge_cell(references, [emission(label) for label in properties], 5.0)
    assert (alone.score, alone.cause) == (0.0, "missing")
    assert sum(check.passed for check in alone.checks) == 4
    with_value = judge_cell(references, [emission(label) for label in references if label != "raises"], 5.0)
    assert with_value.score == pytest.approx(4.0)
    weightless = references | {"close": Reference("close", ARRAY, CLOSE, weight=0.0)}
    assert judge_cell(weightless, [emission(label) for label in weightless], 5.0).score == 5.0


NOT_FOUND = {
    "nothing": [],
    "no dictionary": [None, 1, "close", ["close"], True, [[]], 1.5],
    "no label": [{"kind": "close", "value": RIGHT["close"]}],
    "label a list": [{"kind": "close", "label": ["close"], "value": RIGHT["close"]}],
    "label a dictionary": [{"kind": "close", "label": {"close": 1}, "value": RIGHT["close"]}],
    "label a number": [{"kind": "close", "label": 3, "value": RIGHT["close"]}],
    "another label": [{"kind": "close", "label": "closer", "value": RIGHT["close"]}],
    "label with a blank": [{"kind": "close", "label": "close ", "value": RIGHT["close"]}],
}
REFUSED = {
    "no value": {"kind": "close", "label": "close"},
    "no kind": {"label": "close", "value": RIGHT["close"]},
    "kind a list": {"kind": ["close"], "label": "close", "value": RIGHT["close"]},
    "kind a dictionary": {"kind": {}, "label": "close", "value": RIGHT["close"]},
    "a kind that is easier": {"kind": "finite", "label": "close", "value": RIGHT["close"]},
    "value none": {"kind": "close", "label": "close", "value": None},
    "value raw": {"kind": "close", "label": "close", "value": ARRAY.tolist()},
    "a verdict": {"kind": "close", "label": "close", "passed": True, "score": 100, "value": True},
    "own reference": {"kind": "close", "label": "close", "value": encode_json(1), "reference": encode_json(1)},
    "own params": {
        "kind": "close",
        "label": "close",
        "value": encode_array(ARRAY + 1),
        "params": {"rtol": 9, "atol": 9},
    },
    "NaN": {"kind": "close", "label": "close", "value": encode_array(ARRAY * np.nan)},
    "JSON NaN": {"kind": "close", "label": "close", "value": {"json": [[float("nan")] * 2] * 2}},
    "text": {"kind": "close", "label": "close", "value": {"json": [["0.37", "-1.91"], ["2.53", "4.79"]]}},
    "huge integer": {"kind": "close", "label": "close", "value": {"json": [[10**400, 1], [1, 1]]}},
    "unusable": {"kind": "close", "label": "close", "value": {"unusable": "an array of dtype object"}},
    "100,000 numbers": {"kind": "close", "label": "close", "value": {"json": [0.5] * 100_000}},
}


@pytest.mark.parametrize("emissions", NOT_FOUND.values(), ids=NOT_FOUND.keys())
def test_what_does_not_count_as_emitted(emissions: list[Any]) -> None:
    """What carries no known label is nobody's value: no point, and the check counts as missing."""
    verdict = judge_one("close", *emissions)
    assert (verdict.score, verdict.cause) == (0.0, "missing")
    assert verdict.checks[0].message == "no value: the check was not reached"


@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(payload: dict[str, Any]) -> None:
    """A payload of another form, and one that brings its own rules, gives no point, with a short cause in words."""
    verdict = judge_one("close", payload)
    assert (verdict.score, verdict.cause) == (0.0, "wrong")
    assert 5 < len(verdict.checks[0].message) < 300


def test_duplicates_do_not_count() -> None:
    """Two values for one check give no point, even if both are right, and cost the other checks nothing."""
    references = {label: REFERENCES[label] for label in ("close", "integers")}
    verdict = judge_cell(references, [emission("close"), emission("integers"), emission("close")], 2.0)
    assert verdict.score == 1.0
    assert "more than once" in verdict.checks[0].message


def test_floods_harm_nobody() -> None:
    """Of a flood the first thousand are looked at, and values that nobody asked for are not decoded."""
    looked_at = itertools.count()
    heavy = {"npy": "A" * 10**5}

    def flood() -> Iterator[Any]:
        yield emission("close")
        for n in range(10**6):
            next(looked_at)
            yield {"kind": "close", "label": f"other {n}", "value": heavy}

    tracemalloc.start()
    begin = time.monotonic()
    assert judge_one("close", emission("close")).score == 2.0
    verdict = judge_cell({"close": REFERENCES["close"]}, flood(), 2.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert verdict.score == 2.0
    assert next(looked_at) < MAX_EMISSIONS
    assert time.monotonic() - begin < 5
    assert peak < 4 * 2**20


def test_a_gigabyte_harms_nobody() -> None:
    """Values over the limit are refused by their length alone: no copy of 1 GiB is made."""
    gigabyte = "A" * 2**20 * 64  # one object, sixteen times
    emissions = [emission("close", {"npy": gigabyte})] + [
        emission(label, {"list": [{"npy": gigabyte}] * 16}) for label in ("integers", "unchanged")
    ]
    tracemalloc.start()
    verdict = judge_cell(REFERENCES, emissions, 2.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert verdict.score == 0.0
    assert "too large" in next(check.message for check in verdict.checks if check.label == "close")
    assert peak < 2**20


@given(st.lists(JSON, max_size=4), JSON, st.sampled_from(list(REFERENCES)))
@settings(max_examples=150, deadline=None)
def test_no_json_makes_the_judge_raise(loose: list[Any], value: Any, label: str) -> None:
    """Whatever JSON arrives, alone or as a check's value, there is a verdict within the bounds, on one clean line."""
    ways: list[Any] = [
        value,
        {"json": value},
        {"npy": value},
        {"list": [{"json": value}]},
        {"list": value},
        {"unusable": value},
    ]
    for way in ways:
        payload = {"kind": REFERENCES[label].kind, "label": label, "value": way}
        verdict = judge_cell(REFERENCES, [*loose, payload, {"label": label, "kind": value} if value else None], 3.0)
        assert 0 <= verdict.score <= 3.0
        verdict = judge_cell(REFERENCES, [payload], 3.0)
        json.dumps(verdict.as_dict(), allow_nan=False)
        assert all(check.message.isprintable() and len(check.message) < 1200 for check in verdict.checks)


def mutate(data: st.DataObject, value: Any) -> Any:
    """One place of a JSON value replaced."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(value)))
        return value | {key: mutate(data, value[key])}
    if isinstance(value, list) and value and data.draw(st.booleans()):
        n = data.draw(st.integers(0, len(value) - 1))
        return [*value[:n], mutate(data, value[n]), *value[n + 1 :]]
    if isinstance(value, str) and len(value) > 20 and data.draw(st.booleans()):
        raw = bytearray(base64.b64decode(value))
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        return base64.b64encode(raw).decode()
    return data.draw(JSON)


@given(st.data(), st.sampled_from(list(REFERENCES)))
@settings(max_examples=200, deadline=None)
def test_mutated_payloads(data: st.DataObject, label: str) -> None:
    """A right payload that was tampered with costs at most its own check, and the judge does not raise."""
    payloads = [emission(other) for other in RIGHT if other != label]
    payload = mutate(data, copy.deepcopy(emission(label)))
    stolen = isinstance(payload, dict) and payload.get("label") != label
    verdict = judge_cell(REFERENCES, [*payloads, payload], 11.0)
    assert verdict.score >= (9.0 if stolen else 10.0) - 1e-9
    assert verdict.score <= 11.0


@given(
    st.lists(st.floats(1.0111, 9.999).map(lambda x: round(x, 5)), min_size=2, max_size=5),
    st.sampled_from(["close", "equal"]),
)
@settings(max_examples=60, deadline=None)
def test_hidden_messages_keep_their_reference(numbers: list[float], kind: str) -> None:
    """The message of a hidden check holds no number of its reference; that of a visible one tells what was expected."""
    for hidden in (True, False):
        ref = {"L": Reference(kind, np.array(numbers), CLOSE, hidden=hidden, hint="h")}
        for value in (np.zeros(len(numbers)), np.zeros(9), np.full(len(numbers), np.nan)):
            (verdict,) = judge_cell(ref, [{"kind": kind, "label": "L", "value": encode_array(value)}], 1.0).checks
            if hidden:
                assert not any(
                    f"{number:.{digits}f}" in verdict.message for number in numbers for digits in (1, 2, 3, 4, 5)
                )
                assert not verdict.passed
            elif verdict.message.startswith("wrong value"):
                assert "expected" in verdict.message


def test_hidden_shapes_and_texts_are_kept() -> None:
    """A hidden shape, name or range is not told; a visible one is."""
    for label, secret in (("shape", "(2, 2)"), ("equal", "names"), ("within", "[0, 1]")):
        wrong = emission(label, encode_json([7, 7]) if label != "equal" else encode_json({"n": 4}))
        if label == "within":
            wrong = emission(label, encode_array([7.0]))
        assert secret not in judge_one(label, wrong).checks[0].message
        assert secret in judge_one(label, wrong, hidden=False).checks[0].message


def test_shown_text_is_clean() -> None:
    """Type names, exceptions and texts of a submission are shown as one short line without terminal escapes."""
    evil = "\x1b[2J\x1b]0;owned\x07evil\r\n\u202egnp" + "x" * 10**5
    text = {"L": Reference("equal", "abc", hidden=False)}
    shown = [
        judge_one("close", emission("close", {"unusable": evil})).checks[0].message,
        judge_one("raises", emission("raises", {"json": [evil]})).checks[0].message,
        judge_cell(text, [{"kind": "equal", "label": "L", "value": {"json": evil}}], 1.0).checks[0].message,
        judge_cell(cell(1), [], 1.0, [Failure("f()", "error", evil)]).checks[0].message,
    ]
    for message in shown:
        assert message.isprintable()
        assert len(message) < 1200
        assert "evil gnp" in message
        assert "owned" not in message


def test_failures_explain_missing_values() -> None:
    """A missing value is blamed on its own statement, else on what failed before it, else on the first failure."""
    root = Failure("y = f(x)", "timeout", "stopped after 20 seconds")
    later = Failure('check.close("1", y)', "error", "NameError: name 'y' is not defined")
    other = Failure('check.close("0", g(x).shape1)', "error", "ValueError: no")
    verdict = judge_cell(cell(1, 1), [], 2.0, [other, root, later])
    assert [(check.message, check.cause) for check in verdict.checks] == [
        ("ValueError: no", "error"),
        ("stopped after 20 seconds", "timeout"),
    ]
    assert verdict.cause == "timeout"
    loop = Failure("for name in names: check.close(f'{name}', 1)", "error", "KeyError: 'W'")
    assert judge_cell(cell(1), [], 2.0, [loop]).checks[0].message == "KeyError: 'W'"


def test_a_label_inside_a_longer_one() -> None:
    """The statement of the check "dx, all" is not blamed for a missing "dx"."""
    references = {label: Reference("close", np.array(1.0), CLOSE) for label in ("dx", "dx, all")}
    failures = [
        Failure('check.close("dx, all", g)', "error", "TypeError: all"),
        Failure('check.close("dx", g)', "error", "KeyError: dx"),
    ]
    verdict = judge_cell(references, [], 2.0, failures)
    assert [check.message for check in verdict.checks] == ["KeyError: dx", "TypeError: all"]


def test_a_value_counts_though_its_cell_failed() -> None:
    """What was emitted before another statement failed is judged: partial credit survives."""
    verdict = judge_cell(cell(1, 3), sent([True])[:1], 4.0, [Failure('check.close("1", y)', "error", "ValueError: x")])
    assert (verdict.score, verdict.cause) == (1.0, "error")


def test_gravest() -> None:
    """The first of the causes in their order is the one that is shown; unknown ones and none count for nothing."""
    assert gravest(CAUSES[::-1]) == CAUSES[0]
    assert gravest([None, "wrong", "missing"]) == "missing"
    assert gravest([None, "new"]) is None


def test_distances_are_kept() -> None:
    """The distance is what an audit measures; where there is none, or no end to it, it is left out."""
    near = judge_one("close", emission("close", encode_array(ARRAY * (1 + 5e-6)))).checks[0]
    assert 0.3 < near.distance < 0.6
    assert judge_one("shape", emission("shape")).checks[0].distance is None
    exact = judge_cell({"0": Reference("close", np.array(1.0), {"rtol": 0, "atol": 0})}, sent([False]), 1.0).checks[0]
    assert exact.distance is None and not exact.passed


def test_every_predicate_is_judged_here() -> None:
    """No kind of check escapes these tests."""
    assert {ref.kind for ref in REFERENCES.values()} == PREDICATES.keys()
