"""What a source notebook must satisfy before it is released. Each finding names the cell and the reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from nbformat import NotebookNode

from dlcourse.build.release import INSTRUCTOR_TAG
from dlcourse.grading.key import BEGIN_HIDDEN, END_HIDDEN, is_test
from dlcourse.predicates import PREDICATES

BEGIN_SOLUTION, END_SOLUTION = "### BEGIN SOLUTION", "### END SOLUTION"
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_POINTS = re.compile(r"^##? .*\[(\d+(?:\.\d+)?) (?:bonus )?points?\]", re.MULTILINE)


def lint(source: NotebookNode) -> list[str]:
    """Return everything that is wrong with a source notebook, in the order of its cells."""
    findings = [*_cells(source), *_headings(source)]
    return findings


def _cells(source: NotebookNode) -> Iterator[str]:
    seen: set[str] = set()
    for number, cell in enumerate(source.cells):
        nbgrader = cell.metadata.get("nbgrader")
        name = f"cell {number}"
        if cell.cell_type == "code" and (cell.get("outputs") or cell.get("execution_count")):
            yield f"{name}: outputs are left in; clear them before building"
        if nbgrader is None:
            if cell.cell_type == "code" and (BEGIN_SOLUTION in cell.source or BEGIN_HIDDEN in cell.source):
                yield f"{name}: holds a solution or hidden tests but is no nbgrader cell, so they would be released"
            continue
        grade_id = nbgrader.get("grade_id")
        if not isinstance(grade_id, str) or not _ID.match(grade_id):
            yield f"{name}: grade_id {grade_id!r} is unreadable; use letters, digits and _, like q3_cell_forward"
            continue
        name = f"{grade_id} (cell {number})"
        if grade_id in seen:
            yield f"{name}: duplicate grade_id"
        seen.add(grade_id)
        if nbgrader.get("schema_version") != 3:
            yield f"{name}: nbgrader schema_version is {nbgrader.get('schema_version')!r}, not 3"
        yield from (f"{name}: {finding}" for finding in _graded(cell, nbgrader))


def _graded(cell: NotebookNode, nbgrader: NotebookNode) -> Iterator[str]:
    points = nbgrader.get("points")
    if nbgrader.get("grade") and not (isinstance(points, (int, float)) and points > 0):
        yield f"a graded cell without points (points is {points!r})"
    if nbgrader.get("solution") and cell.cell_type == "code":
        yield from _region(cell.source, BEGIN_SOLUTION, END_SOLUTION, required=True)
    if is_test(cell):
        if not nbgrader.get("locked"):
            yield "a test cell that is not locked"
        yield from _region(cell.source, BEGIN_HIDDEN, END_HIDDEN, required=False)
        labels = literal_labels(cell.source)
        yield from (
            f"two checks are labelled {label!r}" for label in sorted({x for x in labels if labels.count(x) > 1})
        )
    elif BEGIN_HIDDEN in cell.source:
        yield "hidden tests outside a test cell"


def _region(text: str, begin: str, end: str, *, required: bool) -> Iterator[str]:
    markers = [line.strip() for line in text.split("\n") if line.strip() in (begin, end)]
    if not markers and not required:
        return
    if not markers:
        yield f"a solution cell without a region between {begin!r} and {end!r}"
    elif markers != [begin, end] * (len(markers) // 2):
        yield f"{begin!r} and {end!r} do not pair up"


def _headings(source: NotebookNode) -> Iterator[str]:
    """The points in each heading equal the points of the cells up to the next such heading."""
    title, stated, found = "", None, 0.0
    for cell in [*source.cells, None]:
        heading = _POINTS.search(cell.source) if cell is not None and cell.cell_type == "markdown" else None
        if heading or cell is None:
            if stated is not None and stated != found:
                yield f"heading {title!r} states {stated:g} points, its cells have {found:g}"
            if heading:
                title, stated, found = heading.group(0).lstrip("# "), float(heading.group(1)), 0.0
        if cell is not None and cell.metadata.get("nbgrader", {}).get("grade"):
            points = cell.metadata.nbgrader.get("points")
            found += points if isinstance(points, (int, float)) else 0
            if stated is None:
                yield f"{cell.metadata.nbgrader.get('grade_id')}: points before the first heading that states any"


def literal_labels(source: str) -> list[str]:
    """The labels written out in the ``check.…`` calls of a test cell."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    return [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "check"
        and node.func.attr in PREDICATES
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]


def leaks(source: NotebookNode, release: NotebookNode) -> list[str]:
    """What of the solution or the hidden tests stands in a release: markers, whole lines, tagged cells, outputs."""
    released = {line.strip() for cell in release.cells for line in cell.source.split("\n")}
    allowed: set[str] = set()
    secret: dict[str, str] = {}
    for cell in source.cells:
        inside = INSTRUCTOR_TAG in cell.metadata.get("tags", [])
        inside |= bool(cell.metadata.get("nbgrader", {}).get("solution")) and BEGIN_SOLUTION not in cell.source
        for line in cell.source.split("\n"):
            stripped = line.strip()
            if stripped in (BEGIN_SOLUTION, BEGIN_HIDDEN):
                inside = True
            elif stripped in (END_SOLUTION, END_HIDDEN):
                inside = False
            elif inside:
                secret.setdefault(stripped, cell.metadata.get("nbgrader", {}).get("grade_id", "an instructor's cell"))
            else:
                allowed.add(stripped)
    found = [
        f"{secret[line]}: the line {line[:60]!r} would reach the release"
        for line in sorted(released & set(secret) - allowed)
        if len(line) > 12
    ]
    markers = (BEGIN_SOLUTION, END_SOLUTION, BEGIN_HIDDEN, END_HIDDEN)
    found += [f"the marker {m!r} would reach the release" for m in markers if m in released]
    found += ["an output would reach the release" for cell in release.cells if cell.get("outputs")]
    return found
