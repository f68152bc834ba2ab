"""Wrong and right answers to a notebook's questions, written down as data beside the tests.

``tests/audit/ASSIGNMENT/NOTEBOOK.toml`` holds tables ``[[wrong]]`` (name, grade_id, why, replace or source, fails),
``[[right]]`` (name, grade_id, why, replace or source, functions) and ``[[harmless]]`` (grade_id, line, why): lines of
the solution whose deletion cannot matter.
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from dlcourse.build.lint import BEGIN_SOLUTION, END_SOLUTION
from dlcourse.errors import CourseError


@dataclass(frozen=True)
class Answer:
    """One answer: the text of one solution cell.

    Attributes:
        fails: for a wrong one the checks that it must fail, as ``test_grade_id/label``.
        functions: for a right one its functions, which are also tried in float32.
    """

    name: str
    grade_id: str
    why: str
    source: str
    fails: frozenset[str] = frozenset()
    functions: tuple[str, ...] = ()


@dataclass
class Answers:
    """All answers to one notebook."""

    wrong: list[Answer] = field(default_factory=list)
    right: list[Answer] = field(default_factory=list)
    harmless: set[tuple[str, str]] = field(default_factory=set)


def solutions(source: NotebookNode) -> dict[str, str]:
    """The code of every solution cell of a source notebook, by grade_id."""
    return {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in source.cells
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution")
    }


def load(path: Path, source: NotebookNode) -> Answers:
    """Read the answers to a notebook.

    Raises:
        CourseError: the file is missing or an entry does not fit the notebook; the message names it.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise CourseError(f"{path} is missing: write down wrong and right answers to audit the grader with") from None
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"{path}: {error}") from error
    cells, answers, seen = solutions(source), Answers(), set()
    for kind in ("wrong", "right"):
        for entry in content.get(kind, []):
            answer = _answer(path, kind, entry, cells)
            if (kind, answer.name) in seen:
                raise CourseError(f"{path}: two {kind} answers are called {answer.name!r}")
            seen.add((kind, answer.name))
            getattr(answers, kind).append(answer)
    answers.harmless = {(entry["grade_id"], entry["line"].strip()) for entry in content.get("harmless", [])}
    return answers


def _answer(path: Path, kind: str, entry: dict, cells: dict[str, str]) -> Answer:
    where = f"{path}: {kind} answer {entry.get('name')!r}"
    missing = [key for key in ("name", "grade_id", "why") if key not in entry]
    if missing:
        raise CourseError(f"{where} has no {', '.join(missing)}")
    if entry["grade_id"] not in cells:
        raise CourseError(f"{where}: the notebook has no solution cell {entry['grade_id']!r}")
    text = entry.get("source", cells[entry["grade_id"]])
    for old, new in entry.get("replace", []):
        if text.count(old) != 1:
            raise CourseError(f"{where}: {old!r} occurs {text.count(old)} times in the solution, not once")
        text = text.replace(old, new)
    if text == cells[entry["grade_id"]]:
        raise CourseError(f"{where} changes nothing")
    fails = frozenset(entry.get("fails", ()))
    return Answer(entry["name"], entry["grade_id"], entry["why"], text, fails, tuple(entry.get("functions", ())))


def deletions(source: NotebookNode, harmless: set[tuple[str, str]]) -> list[Answer]:
    """Every answer that lacks one statement of a solution, and every one whose function is empty."""
    made = []
    for grade_id, text in solutions(source).items():
        lines = text.split("\n")
        marks = (BEGIN_SOLUTION, END_SOLUTION)
        begins, ends = ([n for n, line in enumerate(lines) if line.strip() == mark] for mark in marks)
        regions = list(zip(begins, ends, strict=True))
        for number, (begin, end) in enumerate(regions, 1):
            indent = lines[begin][: len(lines[begin]) - len(lines[begin].lstrip())]
            emptied = "\n".join([*lines[:begin], f"{indent}return None", *lines[end + 1 :]])
            part = f", part {number}" if len(regions) > 1 else ""
            made.append(Answer(f"{grade_id} emptied{part}", grade_id, "an empty function", emptied))
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.stmt) or not any(a < node.lineno - 1 < b for a, b in regions):
                continue
            first, last = node.lineno - 1, node.end_lineno or node.lineno
            line = lines[first].strip()
            if (grade_id, line) in harmless:
                continue
            without = [*lines[:first], " " * node.col_offset + "pass", *lines[last:]]
            made.append(Answer(f"{grade_id} without `{line}`", grade_id, "a line is missing", "\n".join(without)))
    return made
