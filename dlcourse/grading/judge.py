"""The verdict: compare the values that a notebook emitted with what the solution emitted.

Pure functions over plain data. Nothing here runs or imports code of a submission, and nothing that a submission prints,
raises or writes counts: no value, no point.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from dlcourse.grading.evidence import MAX_EMISSIONS, Failure, Reference
from dlcourse.payload import PayloadError, clean, decode
from dlcourse.predicates import PREDICATES, PROPERTIES, Outcome

MAX_MESSAGE = 500  # characters of a message and of its detail
# Why points were lost, gravest first. A submission shows the gravest of its questions.
CAUSES = ("unreadable", "not_submitted", "memory", "timeout", "kernel_died", "error", "missing", "wrong")


@dataclass(frozen=True)
class CheckVerdict:
    """The judgement on one check; ``message`` never holds an expected value of a hidden one."""

    label: str
    passed: bool
    weight: float
    message: str = ""
    hint: str = ""
    hidden: bool = True
    cause: str | None = None
    distance: float | None = None  # in units of the tolerance; 1 is the limit

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CellVerdict:
    """The judgement on one graded cell: ``score`` out of ``max_score`` points."""

    score: float
    max_score: float
    cause: str | None
    checks: tuple[CheckVerdict, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge_cell(
    references: dict[str, Reference], emissions: Iterable[Any], points: float, failures: Sequence[Failure] = ()
) -> CellVerdict:
    """Judge one graded cell.

    Args:
        references: the cell's checks by label.
        emissions: what the cell emitted, untrusted and in order.
        points: the cell's points.
        failures: the cell's statements that raised, ran out of time, or were not reached.

    Returns:
        points × weight of the passed checks / weight of all. Properties (a shape, finiteness, inputs left alone) hold
        for trivial answers too: in a cell that checks values, they give points only if some value passed. A cell whose
        checks have no weight gives no point.
    """
    found: dict[str, list[Any]] = {}
    for payload in islice(emissions, MAX_EMISSIONS):
        if isinstance(payload, dict) and isinstance(label := payload.get("label"), str) and label in references:
            found.setdefault(label, []).append(payload)
    checks = tuple(_judge_check(label, ref, found.get(label, []), failures) for label, ref in references.items())
    total = sum(check.weight for check in checks)
    valued = [c for c in checks if references[c.label].kind not in PROPERTIES and c.weight > 0]
    earned = sum(check.weight for check in checks if check.passed)
    if valued and not any(check.passed for check in valued):
        earned = 0.0
    if total > 0 and earned == total:
        return CellVerdict(points, points, None, checks)
    score = min(points, points * earned / total) if total > 0 else 0.0
    return CellVerdict(score, points, gravest(c.cause for c in checks), checks)


def gravest(causes: Iterable[str | None]) -> str | None:
    """The first of ``CAUSES`` that occurs."""
    present = set(causes)
    return next((cause for cause in CAUSES if cause in present), None)


def _blame(label: str, failures: Sequence[Failure]) -> Failure:
    """The failure that kept a check from its value: its own statement's, or the one that left its input undefined."""
    unexplained = Failure("", "missing", "no value: the check was not reached")
    quoted = (f'"{label}"', f"'{label}'")
    own = next((n for n, failure in enumerate(failures) if any(q in failure.source for q in quoted)), None)
    if own is None:
        return failures[0] if failures else unexplained
    roots = [f for f in failures[: own + 1] if not f.why.startswith("NameError")]
    return roots[-1] if roots else failures[own]


def _judge_check(label: str, ref: Reference, payloads: list[Any], failures: Sequence[Failure]) -> CheckVerdict:
    def verdict(outcome: Outcome, cause: str | None) -> CheckVerdict:
        message = clean(outcome.message, MAX_MESSAGE)
        if not ref.hidden and outcome.detail:
            message = f"{message} ({clean(outcome.detail, MAX_MESSAGE)})"
        distance = outcome.distance if math.isfinite(outcome.distance) else None
        return CheckVerdict(label, outcome.passed, ref.weight, message, ref.hint, ref.hidden, cause, distance)

    if not payloads:
        blamed = _blame(label, failures)
        return verdict(Outcome(False, blamed.why), blamed.cause)
    if len(payloads) > 1:
        return verdict(Outcome(False, "emitted more than once: which one counts cannot be told"), "wrong")
    (payload,) = payloads
    if payload.get("kind") != ref.kind:
        return verdict(Outcome(False, "a check of another kind"), "wrong")
    try:
        value = decode(payload.get("value"))
        outcome = PREDICATES[ref.kind](value, ref.value, ref.params)
    except PayloadError as error:
        outcome = Outcome(False, f"wrong type: {error}")
    except Exception as error:  # a predicate met a value that it does not know: the submission's loss, not the class's
        outcome = Outcome(False, f"wrong type: {type(error).__name__}")
    return verdict(outcome, None if outcome.passed else "wrong")
