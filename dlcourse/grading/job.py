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
from dlcourse.grading.kernel import Kernel
from dlcourse.grading.key import AnswerKey
from dlcourse.grading.limits import DEFAULT, Limits
from dlcourse.grading.scratch import NO_FILES
from dlcourse.grading.verdict import judge_notebook


@dataclass(frozen=True)
class Settings:
    """How submissions are run.

    Attributes:
        sandboxed: inside bubblewrap.
        cell_seconds: limit for one cell, or one statement of a test cell; a notebook may ask for more.
        notebook_seconds: limit for one notebook, or twice the solution's budget where that is more.
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
        judge_notebook(notebook, self.key, ran)
        return notebook, ran


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
        cell_seconds=max(settings.cell_seconds, key.cell_seconds),
        notebook_seconds=max(settings.notebook_seconds, 2 * key.seconds),
        limits=settings.limits,
        finished=finished,
    )
