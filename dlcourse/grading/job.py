"""One notebook to grade, as a value: everything that grading it needs, and nothing of the machine that asks for it.

A job can be done in this process, in a worker beside it or on another machine; the result is the judged notebook. What
a grade depends on stands in here, so that the same submission gets the same score everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import nbformat
from nbformat import NotebookNode

from dlcourse.grading import run
from dlcourse.grading.intake import blank, take_in
from dlcourse.grading.judge import CellVerdict, Failure, gravest, judge_cell
from dlcourse.grading.kernel import Kernel
from dlcourse.grading.key import AnswerKey, is_test
from dlcourse.grading.sandbox import DEFAULT, Limits
from dlcourse.grading.scratch import NO_FILES


@dataclass(frozen=True)
class Settings:
    """How submissions are run.

    Attributes:
        sandboxed: inside bubblewrap.
        cell_seconds: limit for one cell, or one statement of a test cell.
        notebook_seconds: limit for one notebook.
        limits: of memory, disk, processes and files.
    """

    sandboxed: bool = True
    cell_seconds: float = 20.0
    notebook_seconds: float = 120.0
    limits: Limits = DEFAULT


@dataclass(frozen=True)
class Job:
    """One submitted notebook and what it is graded by.

    Attributes:
        submission: what the file holds; a text says why it could not be opened.
        release: the notebook that was handed out.
        key: its answer key.
        files: what the notebook may load, as ``scratch.pack`` makes it.
    """

    submission: bytes | str
    release: NotebookNode
    key: AnswerKey
    files: bytes = NO_FILES
    settings: Settings = field(default_factory=Settings)

    def do(self) -> NotebookNode:
        """Take the submission in, run it and judge it.

        Returns:
            the executed notebook, with the verdicts in its metadata.

        Raises:
            CourseError: it cannot be run for a reason outside it, such as a machine without a sandbox.
        """
        return self.trace()[0]

    def trace(self, finished: Callable[[Kernel], None] = lambda kernel: None) -> tuple[NotebookNode, run.Transcript]:
        """As ``do``, with what happened on the way; ``finished`` gets the kernel before it ends."""
        if isinstance(self.submission, str):
            notebook = blank(self.release, "unreadable", self.submission)
        else:
            notebook = take_in(self.submission, self.release)
        ran = execute(notebook, self.key, self.files, self.settings, finished)
        return judged(notebook, self.key, ran), ran


def execute(
    notebook: NotebookNode,
    key: AnswerKey,
    files: bytes,
    settings: Settings,
    finished: Callable[[Kernel], None] = lambda kernel: None,
) -> run.Transcript:
    """Run a notebook that intake has let through; one that has a cause already is not run."""
    about = notebook.metadata.setdefault("dlcourse", nbformat.from_dict({"cause": None, "message": "", "repairs": []}))
    if about.cause:
        return run.Transcript()
    return run.execute(
        notebook,
        key.statements,
        sandboxed=settings.sandboxed,
        files=files,
        cell_seconds=settings.cell_seconds,
        notebook_seconds=settings.notebook_seconds,
        limits=settings.limits,
        finished=finished,
    )


def judged(notebook: NotebookNode, key: AnswerKey, transcript: run.Transcript) -> NotebookNode:
    """Compare what was emitted with the references and write the verdicts into the notebook."""
    about = notebook.metadata.dlcourse
    causes = []
    for cell in notebook.cells:
        if not is_test(cell):
            continue
        grade_id, points = cell.metadata.nbgrader.grade_id, float(cell.metadata.nbgrader.points)
        ran = transcript.cells.get(grade_id)
        if ran is None:
            ran = run.CellRun(failures=[Failure("", about.cause or "missing", about.message)])
        references = key.references.get(grade_id, {})
        verdict = judge_cell(references, ran.emissions, points, ran.failures) if references else _plain(ran, points)
        causes.append(verdict.cause)
        cell.metadata["dlcourse"] = nbformat.from_dict(verdict.as_dict())
    about.cause = about.cause or gravest(causes)
    about.seconds = round(transcript.seconds, 2)
    about.key = key.fingerprint
    return notebook


def _plain(ran: run.CellRun, points: float) -> CellVerdict:
    """A test cell of plain asserts, without checks: all points if every statement ran to its end."""
    if not ran.failures:
        return CellVerdict(points, points, None)
    return CellVerdict(0.0, points, gravest(f.cause for f in ran.failures))
