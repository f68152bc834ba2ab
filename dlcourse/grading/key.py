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
from dlcourse.grading.evidence import Reference
from dlcourse.payload import PayloadError, decode
from dlcourse.predicates import PREDICATES

BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"


@dataclass(frozen=True)
class Statement:
    """One top-level statement of a test cell. Each runs alone: an error costs what depends on it and no more."""

    source: str
    hidden: bool


@dataclass(frozen=True)
class AnswerKey:
    """What the judge and the runner know of one notebook, and a submission never sees."""

    statements: dict[str, list[Statement]]  # by grade_id of the test cell
    references: dict[str, dict[str, Reference]]  # by grade_id, then label
    fingerprint: str  # of source and references: another key, another grade
    seconds: float = 0.0  # of processor time for the solution, if it says so: a submission has twice as long, at least
    cell_seconds: float = 0.0  # for one cell of a submission, at least, if it says so

    @staticmethod
    def path(course: Course, assignment: str, notebook: str) -> Path:
        return course.path("source", assignment) / "reference" / f"{notebook}.json"

    @classmethod
    def load(cls, course: Course, assignment: str, notebook: str) -> AnswerKey:
        """Read the recorded references of a notebook.

        Raises:
            CourseError: not built yet, unreadable, or the source changed since.
        """
        build = f"Run `course build {assignment}`."
        path = cls.path(course, assignment, notebook)
        source_path = course.path("source", assignment) / f"{notebook}.ipynb"
        if not source_path.is_file():
            raise CourseError(f"source/{assignment}/{notebook}.ipynb is missing, so there is nothing to grade it by.")
        source = nbformat.read(source_path, as_version=4)
        try:
            text = path.read_bytes()
            recorded = json.loads(text)
            digest, cells = recorded["source_sha256"], recorded["cells"]
        except FileNotFoundError:
            raise CourseError(f"{path} is missing: {assignment} has not been built. {build}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise CourseError(f"{path} is not readable ({error}). {build}") from None
        if digest != source_digest(source):
            raise CourseError(
                f"source/{assignment}/{notebook}.ipynb changed after its references were recorded. {build}"
            )
        try:
            references = {
                grade_id: {label: read_reference(check) for label, check in checks.items()}
                for grade_id, checks in cells.items()
            }
        except (PayloadError, KeyError, TypeError, AttributeError) as error:
            raise CourseError(f"{path} holds a reference that is not readable ({error}). {build}") from None
        return cls(statements_of(source), references, hashlib.sha256(text).hexdigest(), *budgets(source))


def read_reference(check: dict[str, Any]) -> Reference:
    """One check of a reference file, decoded.

    Raises:
        PayloadError: its kind or its value is unknown.
    """
    if check["kind"] not in PREDICATES:
        raise PayloadError(f"no check is called {check['kind']!r}")
    return Reference(
        check["kind"], decode(check["value"]), check["params"], check["weight"], check["hint"], check["hidden"]
    )


def budgets(source: NotebookNode) -> tuple[float, float]:
    """What a notebook says of its ``seconds`` and ``cell_seconds`` in ``metadata.dlcourse``; 0 where it does not."""
    about = source.metadata.get("dlcourse", {})
    return float(about.get("seconds", 0)), float(about.get("cell_seconds", 0))


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
    """Split a test cell into its top-level statements and mark those of which any line stands in the hidden part.

    Statements that share a line stay together, since lines are what is run. A cell with IPython syntax that Python
    cannot parse stays in its visible and hidden pieces.
    """
    lines = source.split("\n")
    hidden, flags = False, []
    for line in lines:
        hidden = (hidden or BEGIN_HIDDEN in line) and END_HIDDEN not in line
        flags.append(hidden)
    try:
        nodes = ast.parse(source).body
    except (SyntaxError, ValueError):
        pieces = [[n for n, flag in enumerate(flags) if flag is wanted] for wanted in (False, True)]
        return [Statement("\n".join(lines[n] for n in piece), bool(i)) for i, piece in enumerate(pieces) if piece]
    spans: list[tuple[int, int]] = []  # of lines, the last excluded
    for node in nodes:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
        if spans and first < spans[-1][1]:
            first = spans.pop()[0]
        spans.append((first, node.end_lineno or node.lineno))
    return [Statement("\n".join(lines[first:end]), any(flags[first:end])) for first, end in spans]
