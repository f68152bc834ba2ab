"""Checks for notebooks: a diagnosis for the learner, a value for the judge.

In a learner's notebook a check prints a tick or raises ``CheckFailed`` with a diagnosis. While a submission is graded
it decides nothing: it hands the value over, and a process that the notebook cannot reach compares it with the
reference that the solution produced. A check without an expected value is only there for the judge.

Every check takes

* ``label``: its name, unique within a cell;
* ``hint``: one sentence that helps a learner who fails it;
* ``weight``: its share of the cell's points (points × weight / sum of weights); 0 shows a diagnosis and gives no point.
"""

from __future__ import annotations

import copy
import os
import random
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from dlcourse.payload import MIME, describe, encode_array, encode_json
from dlcourse.predicates import PREDICATES, Outcome

__all__ = [
    "CheckFailed",
    "accuracy",
    "close",
    "decreasing",
    "equal",
    "finite",
    "isolated",
    "moments",
    "raises",
    "shape",
    "unchanged",
    "within",
]

MODE_VARIABLE = "DLCOURSE_CHECK"  # unset: a learner's kernel; "emit": grading; "record": the solution at build time


class CheckFailed(AssertionError):
    """A check did not pass; the message is the diagnosis."""

    def _render_traceback_(self, *_: Any, **__: Any) -> list[str]:
        """What IPython shows: the diagnosis alone, without the frames of this module."""
        first, *rest = str(self).split("\n")
        return [f"\x1b[31m✗ {first}\x1b[0m", *rest]


def shape(label: str, value: Any, expected: tuple[int, ...] | None = None, *, hint: str = "", weight: float = 1) -> None:
    """The value has exactly the shape ``expected``."""
    __tracebackhide__ = True
    got = encode_json(list(value.shape)) if hasattr(value, "shape") else encode_json(list(np.shape(_safe(value))))
    _settle("shape", label, got, _listed(value), None if expected is None else list(expected), {}, hint, weight)


def close(
    label: str,
    value: Any,
    expected: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    dtype: str | None = None,
    hint: str = "",
    weight: float = 1,
) -> None:
    """Every element satisfies |value − expected| ≤ rtol·|expected| + atol·max|expected|.

    The default tolerance lets float32 work pass (its rounding is 6e-8 an operation) and no formula that is wrong in
    more than the sixth digit.
    """
    __tracebackhide__ = True
    params = {"rtol": rtol, "atol": atol, "dtype": dtype}
    _settle("close", label, encode_array(value), value, expected, params, hint, weight)


def equal(label: str, value: Any, expected: Any = None, *, hint: str = "", weight: float = 1) -> None:
    """The value equals ``expected`` exactly: counts, names, lists, integer arrays."""
    __tracebackhide__ = True
    arrays = isinstance(value, np.ndarray) or hasattr(value, "detach")
    _settle("equal", label, encode_array(value) if arrays else encode_json(value), value, expected, {}, hint, weight)


def within(label: str, value: Any, low: float, high: float, *, hint: str = "", weight: float = 1) -> None:
    """Every element lies in [low, high]."""
    __tracebackhide__ = True
    params = {"low": float(low), "high": float(high)}
    _settle("within", label, encode_array(value), value, (), params, hint, weight)


def finite(label: str, value: Any, *, hint: str = "", weight: float = 1) -> None:
    """No element is NaN or infinite."""
    __tracebackhide__ = True
    _settle("finite", label, encode_array(value), value, (), {}, hint, weight)


def accuracy(
    label: str, predictions: Any, labels: Any = None, *, at_least: float, hint: str = "", weight: float = 1
) -> None:
    """At least the share ``at_least`` of the predicted classes, shape (N,), equals the labels, shape (N,)."""
    __tracebackhide__ = True
    params = {"at_least": at_least}
    _settle("accuracy", label, encode_array(predictions), predictions, labels, params, hint, weight)


def moments(
    label: str, samples: Any, *, mean: float, std: float, z: float = 5.0, hint: str = "", weight: float = 1
) -> None:
    """Independent samples have this mean and standard deviation, within ``z`` standard errors."""
    __tracebackhide__ = True
    params = {"mean": float(mean), "std": float(std), "z": float(z)}
    _settle("moments", label, encode_array(samples), samples, (), params, hint, weight)


def decreasing(label: str, curve: Any, *, ratio: float, hint: str = "", weight: float = 1) -> None:
    """A curve, shape (T,), ends at most at ``ratio`` times its first value, and trends downwards."""
    __tracebackhide__ = True
    _settle("decreasing", label, encode_array(curve), curve, (), {"ratio": ratio}, hint, weight)


def unchanged(
    label: str, function: Callable[..., Any], *arguments: Any, hint: str = "", weight: float = 1
) -> None:
    """Calling ``function(*arguments)`` changes no argument and draws nothing from the global random generators."""
    __tracebackhide__ = True
    given = copy.deepcopy(arguments)
    before = _flatten(copy.deepcopy(arguments))
    states = np.random.get_state(), random.getstate()
    try:
        np.random.seed(1234)
        random.seed(1234)
        draws_before = [*np.random.random(2), random.random()]
        np.random.seed(1234)
        random.seed(1234)
        function(*given)
        draws_after = [*np.random.random(2), random.random()]
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])
    after = _flatten(given)
    names = [*before, "random state"]
    value = [*after.values(), np.array(draws_after)] if list(after) == list(before) else None
    expected = [*before.values(), np.array(draws_before)]
    encoded = {"unusable": "arguments of another form"} if value is None else {"list": [encode_array(v) for v in value]}
    _settle("unchanged", label, encoded, value, expected, {"names": names}, hint, weight)


def raises(
    label: str, exception: type[BaseException], function: Callable[..., Any], *arguments: Any, hint: str = "", weight: float = 1
) -> None:
    """Calling ``function(*arguments)`` raises ``exception`` or a subclass of it."""
    __tracebackhide__ = True
    try:
        function(*arguments)
    except Exception as error:
        raised = [kind.__name__ for kind in type(error).__mro__]
    else:
        raised = []
    _settle("raises", label, encode_json(raised), raised, (), {"exception": exception.__name__}, hint, weight)


def isolated(function: Callable[..., Any], **stand_ins: Any) -> Callable[..., Any]:
    """Return ``function`` as it behaves in a fresh kernel: global data of the notebook is out of its reach.

    Modules, functions, classes and constants in capitals stay visible. ``stand_ins`` replace functions of the notebook
    that it calls, so that a mistake made in an earlier question costs nothing here.
    """
    if not isinstance(function, types.FunctionType):
        return function
    namespace = function.__globals__
    visible = {name: value for name, value in namespace.items() if name not in stand_ins and _is_code(name, value)}
    hidden = {name for name in namespace if name not in visible and name not in stand_ins}
    rebuilt: dict[int, Any] = {}

    def rebuild(value: Any) -> Any:
        """Copy a function of the notebook, and those in its closure, onto the reduced namespace."""
        if not isinstance(value, types.FunctionType):
            return value
        if id(value) not in rebuilt:
            own = value.__globals__ is namespace
            cells = tuple(types.CellType() for _ in value.__closure__ or ())
            new = types.FunctionType(
                value.__code__, visible if own else value.__globals__, value.__name__, value.__defaults__, cells or None
            )
            new.__kwdefaults__ = value.__kwdefaults__
            rebuilt[id(value)] = new
            for cell, old in zip(cells, value.__closure__ or (), strict=True):
                try:
                    cell.cell_contents = rebuild(old.cell_contents)
                except ValueError:  # an empty cell stays empty
                    continue
        return rebuilt[id(value)]

    for name, value in list(visible.items()):
        visible[name] = rebuild(value)
    visible.update(stand_ins)
    inner = rebuild(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return inner(*args, **kwargs)
        except NameError as error:
            if error.name in hidden:
                raise NameError(
                    f"{function.__name__} uses the global variable `{error.name}`. A function may only use its "
                    "arguments, other functions and constants written in CAPITALS: in a fresh kernel, or on other "
                    "data, that variable is missing or stale.",
                    name=error.name,
                ) from None
            raise

    return call


def _is_code(name: str, value: Any) -> bool:
    callables = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type, np.ufunc)
    return name.startswith("__") or name.isupper() or isinstance(value, callables)


def _safe(value: Any) -> Any:
    try:
        return np.asarray(value)
    except Exception:
        return None


def _listed(value: Any) -> list[int] | None:
    if hasattr(value, "shape"):
        return [int(n) for n in value.shape]
    array = _safe(value)
    return None if array is None or array.dtype == object else list(array.shape)


def _flatten(value: Any, name: str = "") -> dict[str, Any]:
    """Name every array inside nested tuples, lists and dictionaries."""
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        items = [(str(position), item) for position, item in enumerate(value)]
    else:
        return {name: value}
    return {key: leaf for part, item in items for key, leaf in _flatten(item, f"{name}.{part}" if name else part).items()}


def _settle(
    kind: str, label: str, encoded: dict[str, Any], value: Any, expected: Any, params: dict[str, Any], hint: str, weight: float
) -> None:
    """Diagnose for the learner, or hand the value over to the judge, or both when the solution is recorded."""
    __tracebackhide__ = True
    mode = os.environ.get(MODE_VARIABLE, "")
    if mode == "emit":
        _publish({"kind": kind, "label": label, "value": encoded})
        return
    if expected is not None:
        outcome = _diagnose(kind, encoded, value, expected, params)
        if not outcome.passed:
            lines = [f"{label}: {outcome.message}", outcome.detail, f"hint: {hint}" if hint else ""]
            raise CheckFailed("\n  ".join(line for line in lines if line))
    if mode == "record":
        reference = encode_array(expected) if kind == "accuracy" else encoded
        _publish(
            {"kind": kind, "label": label, "value": encoded, "reference": reference}
            | {"params": params, "hint": hint, "weight": weight}
        )
    elif expected is not None:
        print(f"✓ {label}", file=sys.stdout)


def _diagnose(kind: str, encoded: dict[str, Any], value: Any, expected: Any, params: dict[str, Any]) -> Outcome:
    if "unusable" in encoded:
        return Outcome(False, f"wrong type: {encoded['unusable']}")
    if kind == "shape" and value is None:
        return Outcome(False, f"wrong type: {describe(value)}")
    if kind == "equal" and "npy" in encoded:
        expected = np.asarray(expected)
    if kind == "equal" and "json" in encoded:
        value, expected = encoded["json"], encode_json(expected).get("json", expected)
    return PREDICATES[kind](value, expected, params)


def _publish(payload: dict[str, Any]) -> None:
    from IPython.display import publish_display_data

    publish_display_data({MIME: payload, "text/plain": ""})
