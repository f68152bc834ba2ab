"""The answer key: which statements a test cell has, which of them are hidden, and whether the references still fit."""

from __future__ import annotations

import ast
import hashlib
import json
from typing import Any

import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.grading.key import BEGIN_HIDDEN, END_HIDDEN, AnswerKey, Statement, is_test, source_digest, split


def cell(**nbgrader: Any) -> Any:
    made = nbformat.v4.new_code_cell("x = 1")
    made.metadata["nbgrader"] = {"grade_id": "q", "grade": True, "solution": False} | nbgrader
    return made


def test_load(course: Course) -> None:
    """The key of a built notebook has every test cell's statements and decoded references, and a fingerprint."""
    key = AnswerKey.load(course, "tiny", "sums")
    assert key.references.keys() == key.statements.keys() == {"q1_mean_test", "q2_centre_test"}
    squares = key.references["q1_mean_test"]["mean of squares"]
    assert float(squares.value) == pytest.approx(np.mean(np.linspace(2.0, 9.0, 7) ** 2))
    assert (squares.kind, squares.weight, squares.hint, squares.hidden) == ("close", 2, "divide by N", True)
    visible = key.references["q1_mean_test"]["mean of three"]
    assert (visible.weight, visible.hidden) == (0, False)
    assert key.fingerprint == hashlib.sha256(AnswerKey.path(course, "tiny", "sums").read_bytes()).hexdigest()


def test_missing_references(course: Course) -> None:
    """A course that was never built says which command builds it."""
    AnswerKey.path(course, "tiny", "sums").unlink()
    with pytest.raises(CourseError, match=r"has not been built. Run `course build tiny`"):
        AnswerKey.load(course, "tiny", "sums")


def test_missing_source(course: Course) -> None:
    """Without the source there is nothing to grade by, and no traceback either."""
    with pytest.raises(CourseError, match=r"tiny/products.ipynb is missing"):
        AnswerKey.load(course, "tiny", "products")


def test_changed_source(course: Course) -> None:
    """References of another source are not used."""
    path = course.path("source", "tiny") / "sums.ipynb"
    path.write_text(path.read_text("utf-8").replace("linspace(2.0", "linspace(3.0"), "utf-8")
    with pytest.raises(CourseError, match=r"changed after its references were recorded. Run `course build tiny`"):
        AnswerKey.load(course, "tiny", "sums")


@pytest.mark.parametrize("text", [b"", b"[]", b"3", b"{}", b"\xff", b'{"source_sha256": 1}', b'"text"', b"null"])
def test_unreadable_references(course: Course, text: bytes) -> None:
    """A reference file that is cut off or of another form is named, with the command that writes it anew."""
    AnswerKey.path(course, "tiny", "sums").write_bytes(text)
    with pytest.raises(CourseError, match=r"(?s)sums.json is not readable.*course build tiny"):
        AnswerKey.load(course, "tiny", "sums")


@pytest.mark.parametrize(
    "change", [{"kind": "guess"}, {"kind": []}, {"value": {"npy": "AAAA"}}, {"value": None}, {"weight": ...}, ...]
)
def test_unreadable_reference(course: Course, change: Any) -> None:
    """One reference of another form or of an unknown kind stops the grading: it must not cost a learner points."""
    path = AnswerKey.path(course, "tiny", "sums")
    recorded = json.loads(path.read_text("utf-8"))
    checks = recorded["cells"]["q1_mean_test"]
    merged = checks["mean of squares"] | (change if change is not ... else {})
    merged = {name: value for name, value in merged.items() if value is not ...}
    checks["mean of squares"] = merged if change is not ... else []
    path.write_text(json.dumps(recorded), "utf-8")
    with pytest.raises(CourseError, match=r"(?s)holds a reference that is not readable.*course build tiny"):
        AnswerKey.load(course, "tiny", "sums")


def test_fingerprint_follows_the_references(course: Course) -> None:
    """Another key, another fingerprint: what was graded by the old one is graded again."""
    before = AnswerKey.load(course, "tiny", "sums").fingerprint
    path = AnswerKey.path(course, "tiny", "sums")
    path.write_text(path.read_text("utf-8").replace("divide by N", "divide by n"), "utf-8")
    assert AnswerKey.load(course, "tiny", "sums").fingerprint != before


def test_source_digest() -> None:
    """The digest follows what decides a grade, cells and their nbgrader metadata, and not outputs or cell ids."""
    first, second = nbformat.v4.new_notebook(cells=[cell()]), nbformat.v4.new_notebook(cells=[cell()])
    assert first.cells[0].id != second.cells[0].id
    second.cells[0].outputs = [nbformat.v4.new_output("stream", text="x")]
    second.metadata["title"] = "t"
    assert source_digest(first) == source_digest(second)
    changed = [cell(points=3), nbformat.v4.new_code_cell("x = 2"), nbformat.v4.new_markdown_cell("x = 1")]
    digests = {source_digest(nbformat.v4.new_notebook(cells=[c])) for c in [cell(), *changed]}
    digests.add(source_digest(nbformat.v4.new_notebook(cells=[cell(), cell()])))
    assert len(digests) == 5


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (cell(), True),
        (cell(grade=False), False),
        (cell(solution=True), False),
        (nbformat.v4.new_code_cell("x"), False),
        (nbformat.v4.new_markdown_cell("x", metadata={"nbgrader": {"grade": True}}), False),
    ],
)
def test_is_test(made: Any, expected: bool) -> None:
    """A test cell is code, graded, and no solution."""
    assert is_test(made) is expected


def test_split() -> None:
    """Each top-level statement stands alone, whole, with its decorators, and knows whether it is hidden."""
    source = f"""# a comment
x = f(1)
check.close(
    "a", x
)
{BEGIN_HIDDEN}
@decorated
@twice
def g():
    return 1


for i in range(2):
    check.close(f"{{i}}", x)
{END_HIDDEN}
y = 2"""
    assert split(source) == [
        Statement("x = f(1)", False),
        Statement('check.close(\n    "a", x\n)', False),
        Statement("@decorated\n@twice\ndef g():\n    return 1", True),
        Statement('for i in range(2):\n    check.close(f"{i}", x)', True),
        Statement("y = 2", False),
    ]


def test_statements_on_one_line_run_once() -> None:
    """Statements that share a line, or the end of one, are one piece: no check is run twice."""
    assert split("a = 1; check.f(a)\nb = 2") == [Statement("a = 1; check.f(a)", False), Statement("b = 2", False)]
    assert split("x = (1,\n 2); y = 3; z = (4,\n 5)\nw = 6") == [
        Statement("x = (1,\n 2); y = 3; z = (4,\n 5)", False),
        Statement("w = 6", False),
    ]


def test_hidden_inside_a_statement() -> None:
    """A statement of which a part is hidden is hidden: its checks tell no expected value."""
    source = f"for i in range(2):\n    check.a(i)\n    {BEGIN_HIDDEN}\n    check.b(i)\n    {END_HIDDEN}\ny = 2"
    assert [statement.hidden for statement in split(source)] == [True, False]


@pytest.mark.parametrize("line", ["%timeit x", "!ls", "x = ", "x = '\0'"])
def test_split_of_what_is_no_python(line: str) -> None:
    """What Python cannot parse stays in two pieces, and the hidden lines stay hidden."""
    source = f"{line}\na = 1\n{BEGIN_HIDDEN}\nb = 2\n{END_HIDDEN}\nc = 3"
    assert split(source) == [
        Statement(f"{line}\na = 1\n{END_HIDDEN}\nc = 3", False),
        Statement(f"{BEGIN_HIDDEN}\nb = 2", True),
    ]


STATEMENTS = [
    "x = 1",
    "y = 2; z = 3",
    "def f():\n    return 1",
    "@d\nclass A:\n    b = '''\n### x\n'''",
    "for i in x:\n  pass",
    "# c",
    "",
]


@given(st.lists(st.sampled_from(STATEMENTS), max_size=5), st.lists(st.sampled_from(STATEMENTS), max_size=4))
@settings(max_examples=60, deadline=None)
def test_split_loses_nothing(visible: list[str], hidden: list[str]) -> None:
    """The pieces together are the cell: every statement once, in order, and exactly those between the marks hidden."""
    source = "\n".join([*visible, BEGIN_HIDDEN, *hidden, END_HIDDEN, *visible])
    pieces = split(source)
    assert ast.dump(ast.parse("\n".join(p.source for p in pieces))) == ast.dump(ast.parse(source))
    inside = ast.parse("\n".join(hidden))
    assert ast.dump(ast.parse("\n".join(p.source for p in pieces if p.hidden))) == ast.dump(inside)
