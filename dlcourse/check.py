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
import functools
import os
import random
import sys
import types
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from dlcourse.payload import MIME, PayloadError, decode, describe, encode_array, encode_json, is_tensor, to_array
from dlcourse.predicates import PREDICATES, Outcome

__all__ = [
    "CheckFailed",
    "accuracy",
    "boxes",
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


def shape(
    label: str, value: Any, expected: tuple[int, ...] | None = None, *, hint: str = "", weight: float = 1
) -> None:
    """The value has exactly the shape ``expected``."""
    __tracebackhide__ = True
    _settle("shape", label, _shape_of(value), None if expected is None else list(expected), {}, hint, weight)


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

    ``dtype`` is asked for only where it is given, like "float32". Where everything expected is zero, ``atol`` is
    absolute. The default tolerance lets float32 work pass (its rounding is 6e-8 an operation) and no formula that is
    wrong in more than the sixth digit.
    """
    __tracebackhide__ = True
    params = {"rtol": rtol, "atol": atol, "dtype": dtype}
    _settle("close", label, encode_array(value), expected, params, hint, weight)


def equal(label: str, value: Any, expected: Any = None, *, hint: str = "", weight: float = 1) -> None:
    """The value equals ``expected`` exactly: counts, names, lists, integer arrays. Tuples count as lists."""
    __tracebackhide__ = True
    _settle("equal", label, _encode_exact(value), expected, {}, hint, weight)


def within(label: str, value: Any, low: float, high: float, *, hint: str = "", weight: float = 1) -> None:
    """Every element lies in [low, high]."""
    __tracebackhide__ = True
    params = {"low": float(low), "high": float(high)}
    _settle("within", label, encode_array(value), (), params, hint, weight)


def finite(label: str, value: Any, *, hint: str = "", weight: float = 1) -> None:
    """No element is NaN or infinite."""
    __tracebackhide__ = True
    _settle("finite", label, encode_array(value), (), {}, hint, weight)


def accuracy(
    label: str, predictions: Any, labels: Any = None, *, at_least: float, hint: str = "", weight: float = 1
) -> None:
    """At least the share ``at_least`` of the predicted classes, shape (N,), equals the labels, shape (N,)."""
    __tracebackhide__ = True
    params = {"at_least": at_least}
    _settle("accuracy", label, encode_array(predictions), labels, params, hint, weight)


def boxes(
    label: str,
    found: Any,
    true: Any = None,
    *,
    at_least: float,
    iou: float = 0.5,
    pixels: float = 3,
    hint: str = "",
    weight: float = 1,
) -> None:
    """Boxes [y1, x1, y2, x2], shape (N, 4) in any order, agree with the true ones, shape (M, 4), which do not overlap.

    A box matches a true one whose intersection over union with it is at least ``iou``, or whose sides all lie within
    ``pixels`` of its own; 2 · matches / (N + M) must be at least ``at_least``.
    """
    __tracebackhide__ = True
    params = {"at_least": at_least, "iou": iou, "pixels": pixels}
    _settle("boxes", label, encode_array(found), true, params, hint, weight)


def moments(
    label: str, samples: Any, *, mean: float, std: float, z: float = 5.0, hint: str = "", weight: float = 1
) -> None:
    """Independent samples have this mean and standard deviation, within ``z`` standard errors."""
    __tracebackhide__ = True
    params = {"mean": float(mean), "std": float(std), "z": float(z)}
    _settle("moments", label, encode_array(samples), (), params, hint, weight)


def decreasing(label: str, curve: Any, *, ratio: float, hint: str = "", weight: float = 1) -> None:
    """A curve, shape (T,), ends at most at ``ratio`` times its first value, and trends downwards."""
    __tracebackhide__ = True
    _settle("decreasing", label, encode_array(curve), (), {"ratio": ratio}, hint, weight)


def unchanged(label: str, function: Callable[..., Any], *arguments: Any, hint: str = "", weight: float = 1) -> None:
    """Calling ``function(*arguments)`` changes no argument and draws nothing from the global random generators.

    These are the generators of NumPy, of ``random`` and, where it has been imported, of torch on the CPU. They go on
    afterwards as if nothing had been called.
    """
    __tracebackhide__ = True
    given = copy.deepcopy(arguments)
    before = _flatten(copy.deepcopy(arguments))
    with _seeded() as draw:
        expected_draws = draw()
    with _seeded() as draw:
        function(*given)
        draws = draw()
    after = _flatten(given)
    if list(after) == list(before):
        encoded: dict[str, Any] = {"list": [_encode_leaf(leaf) for leaf in [*after.values(), draws]]}
    else:
        encoded = {"unusable": "arguments to which the call added entries or from which it removed some"}
    expected = [*before.values(), expected_draws]
    _settle("unchanged", label, encoded, expected, {"names": [*before, "random state"]}, hint, weight)


@contextmanager
def _seeded() -> Iterator[Callable[[], np.ndarray]]:
    """Seed the global random generators, yield a function that draws from them, restore their states."""
    restore: list[Callable[[], Any]] = [
        functools.partial(np.random.set_state, np.random.get_state()),
        functools.partial(random.setstate, random.getstate()),
    ]
    np.random.seed(1234)
    random.seed(1234)
    torch: Any = getattr(sys.modules.get("torch"), "default_generator", None)
    if torch is not None:
        restore.append(functools.partial(torch.set_state, torch.get_state()))
        seeded = torch.manual_seed(1234).get_state()

    def draw() -> np.ndarray:
        drawn = np.array([*np.random.random(2), random.random()])
        # A use of torch's generator counts as a shift: without torch the draws are the same.
        return drawn if torch is None or torch.get_state().equal(seeded) else drawn + 1

    try:
        yield draw
    finally:
        for put_back in restore:
            put_back()


def raises(
    label: str,
    exception: type[BaseException],
    function: Callable[..., Any],
    *arguments: Any,
    hint: str = "",
    weight: float = 1,
) -> None:
    """Calling ``function(*arguments)`` raises ``exception`` or a subclass of it."""
    __tracebackhide__ = True
    try:
        function(*arguments)
    except Exception as error:
        raised = [kind.__name__ for kind in type(error).__mro__]
    else:
        raised = []
    _settle("raises", label, encode_json(raised), (), {"exception": exception.__name__}, hint, weight)


def isolated(function: Callable[..., Any], **stand_ins: Any) -> Callable[..., Any]:
    """Return ``function`` as it behaves in a fresh kernel: global data of the notebook is out of its reach.

    Modules, functions, classes and constants in capitals stay visible. ``stand_ins`` replace functions of the notebook
    that it calls, directly or through others, so that a mistake made in an earlier question costs nothing here. What
    the function assigns to a ``global`` stays out of the notebook.

    Only functions of the notebook that calls ``isolated`` are taken apart, decorated ones and ``functools.partial``
    included. The notebook's classes stay as they are, so that instances made outside are still instances inside:
    their methods see every global, and no stand-in.
    """
    namespace = sys._getframe(1).f_globals
    if not _of_notebook(function, namespace, set()):
        return function
    visible = {name: value for name, value in namespace.items() if name not in stand_ins and _is_code(name, value)}
    hidden = namespace.keys() - visible.keys() - stand_ins.keys()
    replaced = {id(namespace[name]): stand_in for name, stand_in in stand_ins.items() if name in namespace}
    rebuild = functools.partial(_rebuild, namespace=namespace, visible=visible, rebuilt=replaced)
    visible.update({name: rebuild(value) for name, value in visible.items()})
    visible.update(stand_ins)
    inner = rebuild(function)

    @contextmanager
    def explained() -> Iterator[None]:
        try:
            yield
        except NameError as error:
            if error.name not in hidden:
                raise
            raise NameError(
                f"{getattr(function, '__name__', 'the function')} uses the global variable `{error.name}`. A function "
                "may only use its arguments, other functions and constants written in CAPITALS: in a fresh kernel, or "
                "on other data, that variable is missing or stale.",
                name=error.name,
            ) from None

    def resumed(generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        with explained():
            return (yield from generator)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        with explained():
            result = inner(*args, **kwargs)
        return resumed(result) if isinstance(result, types.GeneratorType) else result

    return call


def _is_code(name: str, value: Any) -> bool:
    constant = name.isupper() and (len(name) > 1 or not getattr(value, "shape", ()))  # an array `X` is data
    if name.startswith("__") or constant or isinstance(value, (types.ModuleType, functools.partial)):
        return True
    return callable(value) and hasattr(value, "__name__")  # functions of every making and classes, no objects


def _parts(value: Any) -> list[Any]:
    """What a function calls without looking it up by name: closure, defaults, what it decorates."""
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, functools._lru_cache_wrapper):
        return [value.__wrapped__]
    if not isinstance(value, types.FunctionType):
        return []
    cells = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
    return [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]


def _of_notebook(value: Any, namespace: dict[str, Any], seen: set[int]) -> bool:
    """Whether ``value`` is a function of the notebook or holds one."""
    if id(value) in seen:
        return False
    seen.add(id(value))
    own = isinstance(value, types.FunctionType) and value.__globals__ is namespace
    return own or any(_of_notebook(part, namespace, seen) for part in _parts(value))


def _rebuild(value: Any, namespace: dict[str, Any], visible: dict[str, Any], rebuilt: dict[int, Any]) -> Any:
    """Copy a function of the notebook, and those that it holds, onto the reduced namespace."""
    if not _of_notebook(value, namespace, set()):
        return value
    if id(value) in rebuilt:
        return rebuilt[id(value)]

    def again(part: Any) -> Any:
        return _rebuild(part, namespace, visible, rebuilt)

    new: Any
    if isinstance(value, functools.partial):
        keywords = {name: again(part) for name, part in value.keywords.items()}
        new = rebuilt[id(value)] = functools.partial(again(value.func), *map(again, value.args), **keywords)
        return new
    if isinstance(value, functools._lru_cache_wrapper):
        new = rebuilt[id(value)] = functools.lru_cache(**value.cache_parameters())(again(value.__wrapped__))
        return new
    cells = tuple(types.CellType() for _ in value.__closure__ or ())
    namespace_of = visible if value.__globals__ is namespace else value.__globals__
    new = types.FunctionType(value.__code__, namespace_of, value.__name__, None, cells or None)
    rebuilt[id(value)] = new  # before its parts, which may hold it
    new.__defaults__ = value.__defaults__ and tuple(map(again, value.__defaults__))
    new.__kwdefaults__ = value.__kwdefaults__ and {name: again(part) for name, part in value.__kwdefaults__.items()}
    new.__doc__, new.__qualname__, new.__annotations__ = value.__doc__, value.__qualname__, value.__annotations__
    new.__dict__.update(value.__dict__)
    for cell, old in zip(cells, value.__closure__ or (), strict=True):
        if old != types.CellType():  # an empty cell stays empty
            cell.cell_contents = again(old.cell_contents)
    return new


def _shape_of(value: Any) -> dict[str, Any]:
    """Encode the shape of an array, a tensor, a number or a nested list; of anything else say what it is."""
    try:
        own = value.shape if hasattr(value, "shape") else to_array(value).shape
        return encode_json([int(n) for n in own])
    except Exception:
        return {"unusable": f"{describe(value)}, which has no shape"}


def _encode_exact(value: Any) -> dict[str, Any]:
    return encode_array(value) if isinstance(value, np.ndarray) or is_tensor(value) else encode_json(value)


def _encode_leaf(value: Any) -> dict[str, Any]:
    encoded = encode_array(value)
    return encode_json(value) if "unusable" in encoded else encoded


def _flatten(value: Any, name: str = "") -> dict[str, Any]:
    """Name every array inside nested tuples, lists and dictionaries; a list of plain numbers is one array."""
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)) and (not name or not all(isinstance(item, (int, float)) for item in value)):
        items = [(str(position), item) for position, item in enumerate(value)]
    else:
        return {name: value}
    return {
        key: leaf for part, item in items for key, leaf in _flatten(item, f"{name}.{part}" if name else part).items()
    }


def _settle(
    kind: str, label: str, encoded: dict[str, Any], expected: Any, params: dict[str, Any], hint: str, weight: float
) -> None:
    """Diagnose for the learner, or hand the value over to the judge, or both when the solution is recorded."""
    __tracebackhide__ = True
    mode = os.environ.get(MODE_VARIABLE, "")
    if mode == "emit":
        _publish({"kind": kind, "label": label, "value": encoded})
        return
    if expected is not None:
        outcome = _diagnose(kind, encoded, expected, params)
        if not outcome.passed:
            lines = [f"{label}: {outcome.message}", outcome.detail, f"hint: {hint}" if hint else ""]
            raise CheckFailed("\n  ".join(line for line in lines if line))
    if mode == "record":
        reference = encode_array(expected) if kind in ("accuracy", "boxes") else encoded
        _publish(
            {"kind": kind, "label": label, "value": encoded, "reference": reference}
            | {"params": params, "hint": hint, "weight": weight}
        )
    elif expected is not None:
        print(f"✓ {label}", file=sys.stdout)


def _diagnose(kind: str, encoded: dict[str, Any], expected: Any, params: dict[str, Any]) -> Outcome:
    """What the judge would say: the value takes the same way, there and back."""
    try:
        value = decode(encoded)
    except PayloadError as error:
        return Outcome(False, f"wrong type: {error}")
    if kind == "equal":
        expected = decode(_encode_exact(expected))
    if kind == "unchanged":
        expected = [decode(_encode_leaf(leaf)) for leaf in expected]
    return PREDICATES[kind](value, expected, params)


def _publish(payload: dict[str, Any]) -> None:
    from IPython.display import publish_display_data

    publish_display_data({MIME: payload, "text/plain": ""})
