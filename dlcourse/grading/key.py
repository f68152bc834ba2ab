"""The answer key of a notebook: the statements of its test cells and the references recorded from its solution."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.grading.judge import Reference
from dlcourse.payload import decode

BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"


@dataclass(frozen=True)
class Statement:
    """One top-level statement of a test cell. Each runs alone, so that an error costs what depends on it and no more."""

    source: str
    hidden: bool


@dataclass(frozen=True)
class AnswerKey:
    """What the judge and the runner know of one notebook, and a submission never sees."""

    statements: dict[str, list[Statement]]  # by grade_id of the test cell
    references: dict[str, dict[str, Reference]]  # by grade_id, then label
    fingerprint: str  # of source and references: another key, another grade

    @staticmethod
    def path(course: Course, assignment: str, notebook: str) -> Path:
        return course.path("source", assignment) / "reference" / f"{notebook}.json"

    @classmethod
    def load(cls, course: Course, assignment: str, notebook: str) -> AnswerKey:
        """Read the recorded references of a notebook.

        Raises:
            CourseError: not built yet, or the source changed since.
        """
        build = f"Run `course build {assignment}`."
        path = cls.path(course, assignment, notebook)
        try:
            recorded = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise CourseError(f"{path} is missing: {assignment} has not been built. {build}") from None
        except ValueError as error:
            raise CourseError(f"{path} is not readable ({error}). {build}") from None
        source = nbformat.read(course.path("source", assignment) / f"{notebook}.ipynb", as_version=4)
        if recorded.get("source_sha256") != source_digest(source):
            raise CourseError(f"source/{assignment}/{notebook}.ipynb changed after its references were recorded. {build}")
        references = {
            grade_id: {label: _reference(check) for label, check in checks.items()}
            for grade_id, checks in recorded["cells"].items()
        }
        fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(statements_of(source), references, fingerprint)


def _reference(check: dict[str, Any]) -> Reference:
    return Reference(check["kind"], decode(check["value"]), check["params"], check["weight"], check["hint"], check["hidden"])


def source_digest(source: NotebookNode) -> str:
    """A digest of what matters in a source notebook: cells, in order, and their nbgrader metadata."""
    cells = [[c.cell_type, c.source, c.metadata.get("nbgrader", {})] for c in source.cells]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()


def is_test(cell: NotebookNode) -> bool:
    """Whether a cell is an autograded one: code that is graded and not a solution."""
    nbgrader = cell.metadata.get("nbgrader", {})
    return cell.cell_type == "code" and bool(nbgrader.get("grade")) and not nbgrader.get("solution")


def statements_of(source: NotebookNode) -> dict[str, list[Statement]]:
    """The statements of every test cell of a source notebook, by grade_id."""
    return {cell.metadata.nbgrader.grade_id: split(cell.source) for cell in source.cells if is_test(cell)}


def split(source: str) -> list[Statement]:
    """Split a test cell into its top-level statements and mark those of the hidden part.

    A cell with IPython syntax that Python cannot parse stays in its visible and hidden pieces.
    """
    lines = source.split("\n")
    hidden, flags = False, []
    for line in lines:
        hidden = (hidden or BEGIN_HIDDEN in line) and END_HIDDEN not in line
        flags.append(hidden)
    try:
        nodes = ast.parse(source).body
    except SyntaxError:
        pieces = [[n for n, flag in enumerate(flags) if flag is wanted] for wanted in (False, True)]
        return [Statement("\n".join(lines[n] for n in piece), bool(i)) for i, piece in enumerate(pieces) if piece]
    statements = []
    for node in nodes:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
        statements.append(Statement("\n".join(lines[first : node.end_lineno]), flags[first]))
    return statements
