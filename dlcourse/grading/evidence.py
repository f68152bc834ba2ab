"""What the judge decides on: what the solution emitted, what went wrong. Learners have this, not the judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MAX_EMISSIONS = 1000  # of one cell; more are ignored


@dataclass(frozen=True)
class Reference:
    """One check as the solution emitted it.

    Attributes:
        kind: the predicate's name.
        value: the decoded reference.
        params: the predicate's parameters.
        weight: share of the cell's points.
        hint: one sentence for a learner who fails.
        hidden: whether the check stands in the hidden part of its cell.
    """

    kind: str
    value: Any
    params: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    hint: str = ""
    hidden: bool = True


@dataclass(frozen=True)
class Failure:
    """A statement of a test cell that did not end well.

    Attributes:
        source: the statement.
        cause: one of ``CAUSES``.
        why: what happened, in one line.
    """

    source: str
    cause: str
    why: str
