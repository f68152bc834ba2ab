"""Reduce an autograded notebook to what its feedback page shows: no hidden tests, outputs capped, pictures and text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from nbformat import NotebookNode
from nbgrader.utils import compute_checksum
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from dlcourse.feedback.pictures import picture_address
from dlcourse.grading.key import BEGIN_HIDDEN, END_HIDDEN, is_test
from dlcourse.grading.reading import HEADING
from dlcourse.terminal import capped

MAX_LINES = 60  # of one output; head and tail are kept
MAX_COLUMNS = 400  # of one line
MAX_OUTPUTS = 30  # of one cell
MAX_SOURCE = 20_000  # characters of one cell's text
_NUMBERS = re.compile(r"(?<!\w)[-+]?(?:\d*\.\d+|\d+\.?)(?:e[-+]?\d+)?(?!\w)", re.IGNORECASE)


@dataclass
class Output:
    """One output: a picture as a data address, or text."""

    picture: str = ""
    text: str = ""
    error: bool = False


@dataclass
class Shown:
    """One cell of the page; ``graded`` cells carry a score, None while they wait for manual grading."""

    kind: str
    source: str
    highlighted: Markup | str = ""
    question: str = ""
    grade_id: str = ""
    graded: bool = False
    score: float | None = None
    max_score: float = 0.0
    cause: str | None = None
    comment: str = ""
    checks: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    attachments: dict[str, Any] = field(default_factory=dict)


def show_cells(nb: NotebookNode) -> list[Shown]:
    """The cells of a page in order; each graded one belongs to the heading above it."""
    shown, heading = [], ""
    for cell in nb.cells:
        if cell.cell_type == "markdown" and (found := HEADING.findall(cell.source)):
            heading = found[-1]
        shown.append(_show(cell, heading))
    return shown


def _show(cell: NotebookNode, heading: str) -> Shown:
    nbgrader, verdict = cell.metadata.get("nbgrader", {}), cell.metadata.get("dlcourse", {})
    source = without_hidden(cell.source)
    if len(source) > MAX_SOURCE:
        source = f"{source[:MAX_SOURCE]}\n… {len(source) - MAX_SOURCE} characters are not shown …"
    result = Shown(cell.cell_type, source, attachments=cell.get("attachments", {}))
    if cell.cell_type == "code":
        result.highlighted = Markup(highlight(source, PythonLexer(), HtmlFormatter(nowrap=True)))
    result.comment = nbgrader.get("comment") or ""
    if nbgrader.get("grade") or nbgrader.get("task"):
        result.question, result.grade_id, result.graded = heading, nbgrader.grade_id, True
        result.max_score = float(nbgrader.get("points") or 0)
        result.cause, result.checks = verdict.get("cause"), _checks(verdict, result.max_score)
        waiting = not is_test(cell) and nbgrader.get("score") is None
        result.score = None if waiting else float(nbgrader.get("score") or 0)
        untouched = not is_test(cell) and nbgrader.get("checksum") == compute_checksum(cell)
        result.cause = result.cause or ("missing" if untouched and result.score == 0 else None)
    # What a test cell printed may hold hidden inputs: its checks are shown, its outputs are not.
    if cell.cell_type == "code" and not is_test(cell):
        result.outputs = _outputs(cell)
    return result


def _checks(verdict: dict[str, Any], points: float) -> list[dict[str, Any]]:
    """The checks of a cell with the points that each is worth.

    The numbers in an exception that a learner's function raises in a hidden check are left out: they can be its inputs.
    """
    checks = list(verdict.get("checks", []))
    total = sum(check["weight"] for check in checks) or 1.0
    shown = []
    for check in checks:
        message = str(check.get("message") or "")
        if check.get("hidden") and check.get("cause") == "error":
            message = _NUMBERS.sub("…", message)
        shown.append({**check, "message": message, "points": points * check["weight"] / total})
    return shown


def without_hidden(source: str) -> str:
    """A cell's text without the hidden part."""
    lines, hidden = [], False
    for line in source.split("\n"):
        hidden = hidden or BEGIN_HIDDEN in line
        if not hidden:
            lines.append(line)
        hidden = hidden and END_HIDDEN not in line
    return "\n".join(lines).rstrip()


def _outputs(cell: NotebookNode) -> list[Output]:
    outputs = []
    for output in cell.get("outputs", [])[:MAX_OUTPUTS]:
        if output.output_type == "stream":
            outputs.append(Output(text=plain(output.text)))
        elif output.output_type == "error":
            outputs.append(Output(text=plain("\n".join(output.traceback)), error=True))
        else:
            outputs.append(_display(output.get("data", {})))
    if len(cell.get("outputs", [])) > MAX_OUTPUTS:
        outputs.append(Output(text=f"… {len(cell.outputs) - MAX_OUTPUTS} more outputs are not shown …"))
    return [output for output in outputs if output.picture or output.text.strip()]


def _display(data: dict[str, Any]) -> Output:
    if picture := picture_address(data):
        return Output(picture=picture)
    text = data.get("text/plain", "")
    return Output(text=plain("".join(text) if isinstance(text, list) else str(text)))


def plain(text: str) -> str:
    """Terminal text as it would stand on a screen, capped: colours dropped, a redrawn line only in its last state."""
    lines, _ = capped(text, MAX_COLUMNS, MAX_LINES)
    return "\n".join("".join(c if c.isprintable() else "�" for c in line) for line in lines)
