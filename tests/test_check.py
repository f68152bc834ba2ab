"""Checks in the kernel: what the learner reads, what is handed to the judge, and what a fresh kernel would do."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcourse import check
from dlcourse.check import CheckFailed
from dlcourse.payload import MIME, decode
from dlcourse.predicates import PREDICATES


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What IPython is given to display, as it arrives at the other end."""
    payloads: list[dict[str, Any]] = []

    def publish(data: dict[str, Any]) -> None:
        assert set(data) == {MIME, "text/plain"}
        wire = json.dumps(data[MIME], ensure_ascii=False, allow_nan=False).encode("utf-8")
        payloads.append(json.loads(wire))

    monkeypatch.setattr("IPython.display.publish_display_data", publish)
    return payloads


@pytest.fixture
def emit(published: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The payloads of checks that run while a submission is graded."""
    monkeypatch.setenv("DLCOURSE_CHECK", "emit")
    return published


@pytest.fixture
def record(published: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The payloads of checks that run when the solution is recorded."""
    monkeypatch.setenv("DLCOURSE_CHECK", "record")
    return published


def notebook(source: str, **names: Any) -> Callable[[str], Any]:
    """Run a cell; return what evaluates an expression in the same notebook."""
    namespace: dict[str, Any] = {"__name__": "__main__", "check": check, "np": np, **names}
    exec(compile(source, "cell", "exec", dont_inherit=True), namespace)
    return lambda expression: eval(expression, namespace)


CALLS: dict[str, Callable[..., None]] = {
    "shape": lambda value, **kw: check.shape("L", value, (3,), **kw),
    "close": lambda value, **kw: check.close("L", value, [3.0, 2.0, 1.0], **kw),
    "equal": lambda value, **kw: check.equal("L", value, [3.0, 2.0, 1.0], **kw),
    "within": lambda value, **kw: check.within("L", value, 0, 3, **kw),
    "finite": lambda value, **kw: check.finite("L", value, **kw),
    "boxes": lambda value, **kw: check.boxes(
        "L", [[*value, 9]] if isinstance(value, np.ndarray) else value, [[3, 2, 1, 9]], at_least=1, **kw
    ),
    "accuracy": lambda value, **kw: check.accuracy("L", value, [3, 2, 1], at_least=0.6, **kw),
    "moments": lambda value, **kw: check.moments("L", np.resize(value, 60), mean=2.0, std=0.8165, **kw),
    "decreasing": lambda value, **kw: check.decreasing("L", value, ratio=0.5, **kw),
    "unchanged": lambda value, **kw: check.unchanged("L", np.sum, value, **kw),
    "raises": lambda value, **kw: check.raises("L", TypeError, value, **kw),
}
RIGHT = np.array([3.0, 2.0, 1.0])
VALUES = [
    None,
    "text",
    1j,
    10**400,
    float("nan"),
    {1: 2},
    [[1], [1, 2]],
    object(),
    "\ud800",
    (n for n in ()),
    np.array([None]),
    torch.tensor([1j]),
    np.zeros(3, [("a", "f8")]),
    np.ma.array([1, 2], mask=[True, False]),
    type("Odd", (), {"shape": 3, "dtype": None})(),
    type("Lying", (), {"shape": ("a", "b"), "detach": 1, "cpu": 1})(),
    np.broadcast_to(1.0, (1100, 1100)),
]


def test_every_check_has_a_predicate() -> None:
    """The checks that a notebook can use are the predicates that the judge knows, and the helpers."""
    assert set(check.__all__) - {"CheckFailed", "isolated"} == PREDICATES.keys() == CALLS.keys()


@pytest.mark.parametrize("kind", CALLS)
def test_ticks(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A right answer gets a tick and nothing else."""
    CALLS[kind](RIGHT)
    assert capsys.readouterr().out == "✓ L\n"


@pytest.mark.parametrize("kind", sorted(set(CALLS) - {"unchanged", "raises"}))
def test_wrong_answers_raise(kind: str) -> None:
    """A wrong answer raises CheckFailed with label, diagnosis and hint, and without frames of this package."""
    with pytest.raises(CheckFailed, match=r"(?s)^L: wrong|^L: not|^L: out|^L: acc") as failed:
        CALLS[kind](np.full((3, 2) if kind == "shape" else 3, np.nan), hint="think")
    assert str(failed.value).endswith("\n  hint: think")
    assert failed.value._render_traceback_()[0].startswith("\x1b[31m✗ L: ")


def test_the_diagnosis_of_a_visible_check() -> None:
    """A learner sees the worst element, what was expected and what came."""
    with pytest.raises(CheckFailed) as failed:
        check.close("mean", [1.0, 5.0], [1.0, 2.0], hint="divide by N")
    assert str(failed.value).split("\n  ") == [
        "mean: wrong value: 1 of 2 elements differ, worst at [1], far outside the tolerance",
        "at [1] expected 2, got 5, off by 3 (allowed 2.2e-05)",
        "hint: divide by N",
    ]


def test_the_diagnosis_of_a_shape() -> None:
    """None is no scalar: a forgotten return is called that, and a wrong shape is shown next to the right one."""
    with pytest.raises(CheckFailed, match="return"):
        check.shape("L", None, ())
    with pytest.raises(CheckFailed, match=r"(?s)got \(2,\).*expected \(2, 1\)"):
        check.shape("L", [1, 2], (2, 1))
    check.shape("L", torch.zeros(2, 3), (2, 3))
    check.shape("L", 3.0, ())
    check.shape("L", [torch.ones(2, requires_grad=True)], (1, 2))


@pytest.mark.parametrize("kind", CALLS)
def test_a_check_without_expectation_waits_for_the_judge(
    kind: str, emit: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """While grading a check prints nothing and hands over kind, label and value, which the predicate then accepts."""
    CALLS[kind](RIGHT, hint="secret", weight=3)
    (payload,) = emit
    assert capsys.readouterr().out == ""
    assert payload.keys() == {"kind", "label", "value"}
    assert (payload["kind"], payload["label"]) == (kind, "L")
    decode(payload["value"])


@pytest.mark.parametrize("kind", sorted(set(CALLS) - {"moments"}))
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_no_value_makes_an_emission_raise(kind: str, value: Any, emit: list[dict[str, Any]]) -> None:
    """While grading no value, however odd, makes a check raise: the judge gets the value or what it was."""
    if kind == "unchanged":
        check.unchanged("L", lambda given: None, None if type(value).__name__ == "generator" else value)
    else:
        CALLS[kind](value)
    assert [p["kind"] for p in emit] == [kind]


@pytest.mark.parametrize("kind", CALLS)
def test_recording(kind: str, record: list[dict[str, Any]]) -> None:
    """The solution's emission carries what the judge needs, and the solution is diagnosed as a learner's answer is."""
    CALLS[kind](RIGHT, hint="think", weight=0.5)
    (payload,) = record
    assert payload.keys() == {"kind", "label", "value", "reference", "params", "hint", "weight"}
    assert (payload["hint"], payload["weight"]) == ("think", 0.5)
    value, reference = decode(payload["value"]), decode(payload["reference"])
    assert PREDICATES[kind](value, reference, payload["params"]).passed
    if kind not in ("unchanged", "raises"):
        with pytest.raises(CheckFailed):
            CALLS[kind](np.full((3, 2), np.nan))
        assert len(record) == 1


def test_recorded_labels_are_the_reference_of_accuracy(record: list[dict[str, Any]]) -> None:
    """The judge compares predictions with the true labels, not with the predictions of the solution."""
    check.accuracy("L", [1, 1, 0], [1, 1, 1], at_least=0.5)
    assert decode(record[0]["reference"]).tolist() == [1, 1, 1]


def test_true_boxes_are_the_reference_of_boxes(record: list[dict[str, Any]]) -> None:
    """The judge compares with the true boxes, not with those that the solution found."""
    check.boxes("L", [[0, 0, 21, 10]], [[0, 0, 20, 10]], at_least=1.0)
    assert decode(record[0]["reference"]).tolist() == [[0, 0, 20, 10]]


def test_a_hidden_check_says_nothing_to_the_learner(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an expected value a learner's kernel neither judges nor prints."""
    check.close("L", "rubbish")
    check.equal("L", None)
    check.shape("L", None)
    check.accuracy("L", [1], at_least=1.0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "value",
    [[3, 2, 1], (3, 2, 1), torch.tensor([3, 2, 1]), np.array([3, 2, 1]), [torch.tensor(3.0, requires_grad=True), 2, 1]],
)
def test_learner_and_judge_agree(value: Any, emit: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same value in another form passes ``equal`` and ``close`` for the learner, and for the judge."""
    for kind in ("close", "equal"):
        CALLS[kind](value)
        for reference in ([3, 2, 1], np.array([3, 2, 1])):
            params = {"rtol": 1e-5, "atol": 1e-6}
            assert PREDICATES[kind](decode(emit[-1]["value"]), reference, params).passed
        monkeypatch.delenv("DLCOURSE_CHECK")
        CALLS[kind](value)
        monkeypatch.setenv("DLCOURSE_CHECK", "emit")


def test_raises() -> None:
    """A subclass counts, another exception and none do not; no exception but what is no Exception gets out."""
    check.raises("L", ArithmeticError, lambda: 1 / 0)
    with pytest.raises(CheckFailed, match="no KeyError was raised but ZeroDivisionError"):
        check.raises("L", KeyError, lambda: 1 / 0)
    with pytest.raises(CheckFailed, match="no KeyError was raised"):
        check.raises("L", KeyError, lambda: None)


def changes(function: Callable[..., Any], *arguments: Any) -> str:
    """What ``check.unchanged`` says of a function; empty if it changes nothing."""
    try:
        check.unchanged("L", function, *arguments)
    except CheckFailed as failed:
        return str(failed)
    return ""


NESTED = [
    {"W": np.ones(2), "b": [1, 2]},
    [np.zeros(2), (np.zeros(1), {"t": torch.ones(2)})],
    [1, 2, 3],
    "mode",
    None,
    2.5,
]
ACTS: dict[str, tuple[Callable[..., Any], str]] = {
    "nothing": (lambda *a: None, ""),
    "same value": (lambda d, *a: d.update(W=np.ones(2)), ""),
    "an array of a dictionary": (lambda d, *a: d["W"].__imul__(2), "`0.W` was changed"),
    "a key replaced": (lambda d, *a: d.update(W=np.zeros(2)), "`0.W` was changed"),
    "a key added": (lambda d, *a: d.update(dW=1), "added"),
    "a key removed": (lambda d, *a: d.pop("b"), "removed"),
    "a number in a list": (lambda d, *a: d["b"].__setitem__(0, 7), "`0.b` was changed"),
    "an array in a list": (lambda d, n, *a: n[0].__iadd__(1), "`1.0` was changed"),
    "an array deep inside": (lambda d, n, *a: n[1][0].__iadd__(1), "`1.1.0` was changed"),
    "a tensor": (lambda d, n, *a: n[1][1]["t"].add_(1), "`1.1.1.t` was changed"),
    "an appended number": (lambda d, n, numbers, *a: numbers.append(4), "`2` was changed"),
    "an appended array": (lambda d, n, *a: n.append(np.zeros(1)), "added"),
    "sorted": (lambda d, n, numbers, *a: numbers.reverse(), "`2` was changed"),
    "np.random": (lambda *a: np.random.random(), "random state"),
    "np.random.seed": (lambda *a: np.random.seed(0), "random state"),
    "random": (lambda *a: random.random(), "random state"),
    "random.seed": (lambda *a: random.seed(3), "random state"),
    "torch": (lambda *a: torch.rand(1), "random state"),
    "torch.manual_seed": (lambda *a: torch.manual_seed(3), "random state"),
    "own generators": (lambda *a: (np.random.default_rng(1).random(), torch.rand(1, generator=torch.Generator())), ""),
}


@pytest.mark.parametrize("act", ACTS)
def test_unchanged(act: str) -> None:
    """Every change of a nested argument or of a global generator is found and named; the caller's own stays."""
    function, words = ACTS[act]
    said = changes(function, *NESTED)
    assert words in said
    assert bool(said) == bool(words)
    assert NESTED[0].keys() == {"W", "b"} and NESTED[0]["b"] == [1, 2] and NESTED[2] == [1, 2, 3]
    assert NESTED[0]["W"].tolist() == [1, 1] and NESTED[1][1][1]["t"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "function", [lambda x: None, lambda x: (np.random.random(), random.random(), torch.rand(1)), lambda x: 1 / 0]
)
def test_generators_go_on(function: Callable[..., Any]) -> None:
    """After the check NumPy, random and torch draw what they would have drawn without it, even if the call raised."""

    def seed() -> None:
        np.random.seed(5)
        random.seed(5)
        torch.manual_seed(5)
        np.random.standard_normal()  # keeps half of a pair

    def draw() -> list[float]:
        return [np.random.standard_normal(), np.random.random(), random.random(), torch.rand(1).item()]

    seed()
    wanted = draw()
    seed()
    with suppress(ZeroDivisionError):
        changes(function, 1.0)
    assert draw() == wanted


def test_unchanged_without_torch() -> None:
    """Where torch is not imported it stays so, and the value is the one that is handed over with torch."""
    code = (
        "import os, sys, json, IPython.display as d\n"
        "d.publish_display_data = lambda data: print(json.dumps(data))\n"
        "from dlcourse import check\n"
        "{}\n"
        "check.unchanged('L', len, [1.0])\n"
        "print('torch' in sys.modules)\n"
    )
    environment = {"DLCOURSE_CHECK": "emit", "PATH": ""}

    def run(first: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", code.format(first)], capture_output=True, text=True, env=environment
        )
        return done.stdout.splitlines()

    without, with_torch = run("pass"), run("import torch")
    assert without[1:] == ["False"]
    assert with_torch[1:] == ["True"]
    assert json.loads(without[0]) == json.loads(with_torch[0])


def test_unchanged_hands_many_arrays_over(emit: list[dict[str, Any]]) -> None:
    """The caches of a long sequence, hundreds of arrays, fit into one value; a list of many numbers is one array."""
    check.unchanged("L", len, [{"a": np.ones(2), "b": np.ones(1)} for _ in range(100)])
    check.unchanged("L", len, list(range(10_000)))
    assert [len(decode(payload["value"])) for payload in emit] == [201, 2]


CELL = """
import functools
import math
from math import sqrt
from numpy import mean, sum as total
from textwrap import dedent

SCALE = 10
scale = 10
model = type("Model", (), {"__call__": lambda self, x: x})()

def helper(x):
    return x + 1

def uses_constant(x): return SCALE * x
def uses_global(x): return scale * x
def uses_object(x): return model(x)
def uses_helper(x): return helper(x)
def uses_imports(x): return math.sqrt(x) + sqrt(x) + mean([x]) + total([x])
def deeper(x): return uses_helper(x) + uses_global(x)
def factorial(n): return 1 if n < 2 else n * factorial(n - 1)
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def keywords(x, /, y=2, *, z=3, act=helper): return act(x) + y + z
def keyword_helper(x, *, act=helper): return act(x)
def default_helper(x, act=helper): return act(x)
def writes(x):
    global scale, fresh
    scale = fresh = x
    return scale
def misses(x): return undefined_name

def twice(function):
    "A decorator."
    @functools.wraps(function)
    def call(*args):
        call.count = getattr(call, "count", 0) + 1
        return 2 * function(*args)
    return call

@twice
def decorated(x): return helper(x)
@twice
def decorated_global(x): return scale * x

@functools.lru_cache(maxsize=8)
def cached(x): return helper(x)
def uses_cached(x): return cached(x)
@functools.cache
def cached_global(x): return scale * x

partial = functools.partial(lambda a, x: helper(x) + a, 5)
def uses_partial(x): return partial(x)
square = lambda x: helper(x) ** 2

def closure(x):
    def inner(n): return 0 if n == 0 else helper(x) + inner(n - 1)
    return inner(2)
def makes(x):
    return lambda: scale * x

def counted(x):
    counted.calls += 1
    return counted.calls
counted.calls = 40

def annotated(x: "int", y: float = 1.0) -> float:
    "Say it."
    return x

def numbers(n):
    for i in range(n):
        yield helper(i)
def bad_numbers(n):
    sent = yield 1
    yield sent
    yield scale
    return 3

class Layer:
    def __init__(self, x): self.x = x
    def forward(self): return helper(self.x) + scale
def uses_class(x): return Layer(x).forward()
def is_layer(x): return isinstance(x, Layer)
def late(x): return defined_later(x)
"""


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("check.isolated(uses_constant)(2)", 20),
        ("check.isolated(uses_imports)(4.0)", 12.0),
        ("check.isolated(uses_helper)(1)", 2),
        ("check.isolated(factorial)(5)", 120),
        ("check.isolated(even)(11)", False),
        ("check.isolated(keywords)(1, z=7)", 11),
        ("check.isolated(keyword_helper)(1)", 2),
        ("check.isolated(decorated)(1)", 4),
        ("check.isolated(cached)(1)", 2),
        ("check.isolated(uses_cached)(1)", 2),
        ("check.isolated(partial)(1)", 7),
        ("check.isolated(uses_partial)(1)", 7),
        ("check.isolated(square)(2)", 9),
        ("check.isolated(closure)(2)", 6),
        ("check.isolated(counted)(0)", 41),
        ("check.isolated(annotated).__annotations__", {"x": "int", "y": float, "return": float}),
        ("check.isolated(annotated).__doc__", "Say it."),
        ("list(check.isolated(numbers)(3))", [1, 2, 3]),
        ("check.isolated(uses_class)(1)", 12),
        ("check.isolated(is_layer)(Layer(1))", True),
        ("check.isolated(writes)(4)", 4),
        ("check.isolated(dedent) is dedent", True),
        ("check.isolated(sqrt) is sqrt", True),
        ("check.isolated(mean) is mean", True),
        ("check.isolated(Layer) is Layer", True),
        ("check.isolated(3)", 3),
    ],
)
def test_isolated_functions_work(call: str, result: Any) -> None:
    """What a fresh kernel would have is there: imports, constants, functions of every making, classes; modules' own
    functions are left as they are."""
    assert notebook(CELL)(call) == result


@pytest.mark.parametrize(
    "call",
    [
        f"check.isolated({name}, helper=lambda x: 100)(1)"
        for name in (
            "uses_helper",
            "keywords",
            "keyword_helper",
            "default_helper",
            "decorated",
            "cached",
            "uses_cached",
            "partial",
        )
    ]
    + [f"check.isolated({name}, helper=lambda x: 100)(1)" for name in ("uses_partial", "square", "closure")]
    + [
        "next(check.isolated(numbers, helper=lambda x: 100)(1))",
        "check.isolated(deeper, helper=lambda x: 100, scale=1)(1)",
    ],
)
def test_stand_ins_reach_everything(call: str) -> None:
    """A stand-in replaces the function wherever it is called: through others, defaults, decorators, closures."""
    assert notebook(CELL)(call) >= 100


@pytest.mark.parametrize(
    ("call", "name", "variable"),
    [
        ("check.isolated(uses_global)(1)", "uses_global", "scale"),
        ("check.isolated(uses_object)(1)", "uses_object", "model"),
        ("check.isolated(deeper)(1)", "deeper", "scale"),
        ("check.isolated(decorated_global)(1)", "decorated_global", "scale"),
        ("check.isolated(cached_global)(1)", "cached_global", "scale"),
        ("list(check.isolated(bad_numbers)(1))", "bad_numbers", "scale"),
    ],
)
def test_stale_globals_are_named(call: str, name: str, variable: str) -> None:
    """A function that reads global data fails with the variable's name and the reason, also inside a generator."""
    with pytest.raises(NameError, match=f"^{name} uses the global variable `{variable}`") as failed:
        notebook(CELL)(call)
    assert failed.value.name == variable


def test_later_calls_see_no_global() -> None:
    """What an isolated function returns sees no more than the function itself."""
    with pytest.raises(NameError):
        notebook(CELL)("check.isolated(makes)(1)()")


def test_other_name_errors_stay() -> None:
    """A name that the notebook does not have either is not blamed on isolation."""
    with pytest.raises(NameError, match=r"^name 'undefined_name' is not defined"):
        notebook(CELL)("check.isolated(misses)(1)")


def test_generators_still_receive() -> None:
    """A generator takes what is sent to it and returns what it returns."""
    generator = notebook(CELL.replace("yield scale", "pass"))("check.isolated(bad_numbers)(1)")
    assert next(generator) == 1
    assert generator.send("hello") == "hello"
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert stopped.value.value == 3


def test_isolation_leaves_the_notebook_alone() -> None:
    """``global`` assignments, stand-ins and counters of an isolated function do not reach the notebook."""
    ask = notebook(CELL)
    ask("[check.isolated(f, helper=None)(4) for f in (writes, counted)]")
    ask("check.isolated(decorated, helper=lambda x: 100)(4)")
    assert ask("scale") == 10
    assert ask("'fresh' in globals()") is False
    assert ask("helper(1)") == 2
    assert ask("counted.calls") == 40
    assert ask("decorated(1), uses_helper(1), keywords(1)") == (4, 2, 7)


def test_decorators_of_modules_are_taken_apart() -> None:
    """A function under ``torch.no_grad()`` is the notebook's: stand-ins reach it, stale globals are found."""
    graded = "import torch\n@torch.no_grad()\ndef graded(x): return helper(x)\n"
    ask = notebook(CELL + graded + "@torch.no_grad()\ndef bad(x): return scale\n")
    assert ask("check.isolated(graded)(1)") == 2
    assert ask("check.isolated(graded, helper=lambda x: 100)(1)") == 100
    with pytest.raises(NameError, match="global variable `scale`"):
        ask("check.isolated(bad)(1)")


def test_decorators_keep_their_module() -> None:
    """A decorator of another module goes on using that module's data, around the isolated function."""
    module = notebook("times = 3\ndef tripled(f):\n    return lambda x: times * f(x)\n")
    ask = notebook(CELL + "@tripled\ndef graded(x): return helper(x)\n", tripled=module("tripled"))
    assert ask("check.isolated(graded)(1)") == 6
    assert ask("check.isolated(graded, helper=lambda x: 100)(1)") == 300


@given(st.integers(-5, 5), st.integers(-5, 5))
@settings(max_examples=20, deadline=None)
def test_isolated_is_the_function(x: int, scale: int) -> None:
    """An isolated function gives what the function gives, whatever the notebook's global data are."""
    ask = notebook(CELL, scale=scale)
    for name in ("uses_helper", "decorated", "cached", "partial", "square", "closure", "keywords"):
        assert ask(f"check.isolated({name})({x})") == ask(f"{name}({x})")
