"""The verdict on a whole notebook, written into its metadata, which only trusted code writes."""

from __future__ import annotations

import nbformat
from nbformat import NotebookNode

from dlcourse.grading.evidence import Failure
from dlcourse.grading.judge import CellVerdict, gravest, judge_cell
from dlcourse.grading.key import AnswerKey, is_test
from dlcourse.grading.run import CellRun, Transcript


def judge_notebook(notebook: NotebookNode, key: AnswerKey, transcript: Transcript) -> None:
    """Judge every test cell of an aligned notebook by what it emitted."""
    about = notebook.metadata.dlcourse
    causes = []
    for cell in notebook.cells:
        if not is_test(cell):
            continue
        grade_id, points = cell.metadata.nbgrader.grade_id, float(cell.metadata.nbgrader.points)
        ran = transcript.cells.get(grade_id)
        if ran is None:
            ran = CellRun(failures=[Failure("", about.cause or "missing", about.message)])
        references = key.references.get(grade_id, {})
        judged = judge_cell(references, ran.emissions, points, ran.failures) if references else None
        verdict = judged or _plain(ran, points)
        causes.append(verdict.cause)
        cell.metadata["dlcourse"] = nbformat.from_dict(verdict.as_dict())
    about.cause = about.cause or gravest(causes)
    about.seconds = round(transcript.seconds, 2)
    about.key = key.fingerprint


def _plain(ran: CellRun, points: float) -> CellVerdict:
    """A test cell of plain asserts, without checks: all points if every statement ran to its end."""
    if not ran.failures:
        return CellVerdict(points, points, None)
    return CellVerdict(0.0, points, gravest(f.cause for f in ran.failures))
