"""Execute an aligned notebook cell by cell in a kernel and write down what each test cell emitted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import nbformat
from nbformat import NotebookNode

from dlcourse.grading import scratch
from dlcourse.grading.evidence import Failure
from dlcourse.grading.kernel import CellTimeout, Kernel, KernelGone, cold
from dlcourse.grading.key import Statement, is_test
from dlcourse.grading.limits import DEFAULT, Breach, Limits
from dlcourse.grading.outputs import Outputs

PATIENCE = 5  # seconds that a kernel has to answer an interrupt, and the least limit of a cell
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class CellRun:
    """What one test cell did."""

    emissions: list[Any] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Transcript:
    """What a notebook did: its test cells by grade_id, how long it took in seconds; of a solution also its outputs.

    ``longest``: the first line of the cell or statement that took longest, and its seconds.
    """

    cells: dict[str, CellRun] = field(default_factory=dict)
    seconds: float = 0.0
    graded_seconds: float = 0.0
    longest: tuple[str, float] = ("", 0.0)
    log: list[str] = field(default_factory=list)  # a line for each cell or statement that was run
    notebook: NotebookNode | None = None


def execute(
    notebook: NotebookNode,
    statements: dict[str, list[Statement]],
    *,
    mode: str = "emit",
    sandboxed: bool = True,
    files: bytes = scratch.NO_FILES,
    cell_seconds: float = 20.0,
    notebook_seconds: float = 120.0,
    limits: Limits = DEFAULT,
    threads: int = 1,
    figures: bool = True,
    finished: Callable[[Kernel], None] = lambda kernel: None,
) -> Transcript:
    """Run every code cell of ``notebook``, in place, in a kernel of its own that is forked from a warm process.

    Args:
        notebook: an aligned notebook; its code cells get outputs.
        statements: of each test cell, by grade_id.
        mode: ``emit`` to grade, ``record`` to record references from a solution.
        sandboxed: run the kernel inside bubblewrap.
        files: what the notebook may load, as ``scratch.pack`` makes it.
        cell_seconds: limit for one cell or one statement of a test cell.
        notebook_seconds: limit for the whole notebook.
        limits: of memory, files and processes.
        threads: threads that numerical libraries may use.
        figures: show figures; without, plotting code runs and draws nothing.
        finished: called when the last cell has run, while the kernel is still there.

    Raises:
        CourseError: no kernel starts: the machine's fault, not a submission's.
    """
    from dlcourse.grading.warm import warm  # for Linux; rehearsing works everywhere

    start = warm(mode, sandboxed=sandboxed, files=files, limits=limits, threads=threads, figures=figures)
    return _run(notebook, statements, start, cell_seconds, notebook_seconds, finished)


def rehearse(
    notebook: NotebookNode,
    statements: dict[str, list[Statement]],
    files: Path,
    cell_seconds: float,
    notebook_seconds: float,
    mode: str = "",
    user: int | None = None,
) -> Transcript:
    """Run ``notebook`` as ``execute`` does, but in an ordinary kernel.

    Args:
        files: the notebook's folder; it runs in a copy.
        mode: of the checks; by default they diagnose, as for a learner.
        user: run the kernel as the user of this number; for root in a container without namespaces.
    """
    return _run(notebook, statements, _rehearsal(files, mode, user), cell_seconds, notebook_seconds)


@contextmanager
def _rehearsal(files: Path, mode: str, user: int | None) -> Iterator[tuple[Kernel, str]]:
    with scratch.folder(files) as folder, _nothing_left(user), cold(folder, mode, user) as kernel:
        yield kernel, str(folder)


@contextmanager
def _nothing_left(user: int | None) -> Iterator[None]:
    if user is None:
        yield
        return
    from dlcourse.grading import other_user

    with other_user.ended(user):
        yield


def _run(
    notebook: NotebookNode,
    statements: dict[str, list[Statement]],
    start: AbstractContextManager[tuple[Kernel, str]],
    cell_seconds: float,
    notebook_seconds: float,
    finished: Callable[[Kernel], None] = lambda kernel: None,
) -> Transcript:
    """Test cells are run statement by statement from ``statements``: neither their hidden parts nor later cells are
    ever on a disk that the kernel can see.
    """
    transcript = Transcript()
    with start as (kernel, folder):
        begin = time.monotonic()
        runner = Runner(kernel, folder, begin + notebook_seconds, cell_seconds)
        for cell in notebook.cells:
            started = time.monotonic()
            runner.advance(cell, statements, transcript.cells)
            if cell.metadata.get("nbgrader"):
                transcript.graded_seconds += time.monotonic() - started
        transcript.seconds, transcript.log = time.monotonic() - begin, runner.log
        transcript.longest = runner.longest
        if not runner.gone:
            finished(kernel)
    return transcript


class Executor(Protocol):
    """What runs a cell: a kernel, or a shell in this process; see ``Kernel``."""

    def run(self, code: str, seconds: float, take: Callable[[dict[str, Any]], None]) -> bool: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


class Runner:
    """Runs cells until time or the kernel is gone; what comes after gets the cause of that."""

    def __init__(self, kernel: Executor, folder: str, deadline: float, cell_seconds: float) -> None:
        self.kernel, self.folder, self.deadline, self.cell_seconds = kernel, folder, deadline, cell_seconds
        self.outputs = Outputs()
        self.count = 0
        self.log: list[str] = []
        self.longest = ("", 0.0)
        self.gone: Failure | None = None

    def advance(self, cell: NotebookNode, statements: dict[str, list[Statement]], cells: dict[str, CellRun]) -> None:
        """Run the next cell of a notebook; what a test cell did goes into ``cells``."""
        if is_test(cell):
            begin, grade_id = time.monotonic(), cell.metadata.nbgrader.grade_id
            cells[grade_id] = self.test_cell(cell, statements.get(grade_id, []))
            cells[grade_id].seconds = time.monotonic() - begin
        elif cell.cell_type == "code":
            self.cell(cell)

    def cell(self, cell: NotebookNode) -> Failure | None:
        """Run one cell; return why it did not end well, if it did not."""
        begin = time.monotonic()
        failure = self._cell(cell)
        ended = f"{failure.cause}: {failure.why}" if failure else "ok"
        seconds, line = time.monotonic() - begin, cell.source.strip().partition("\n")[0][:80]
        self.longest = max(self.longest, (line, seconds), key=lambda one: one[1])
        self.log.append(f"{seconds:8.3f} s  {line}  {ended}")
        return failure

    def _cell(self, cell: NotebookNode) -> Failure | None:
        cell.outputs, cell.execution_count = [], None
        if self.gone:
            return Failure(cell.source, self.gone.cause, self.gone.why)
        left = self.deadline - time.monotonic()
        if left <= 0:
            self.gone = Failure("", "timeout", "not run: the notebook's time was used up")
            return Failure(cell.source, self.gone.cause, self.gone.why)
        seconds = max(1, round(min(self.cell_seconds, left)))
        self.outputs.begin(cell)
        self.count += 1
        try:
            whole = self.kernel.run(cell.source, seconds, self.outputs.take)
        except CellTimeout:
            return self._stop(cell, seconds)
        except KernelGone as gone:
            return self._died(cell, gone.breach)
        finally:
            cell.execution_count = self.count
            self._scrub(cell)
        if self.outputs.dropped or not whole:
            _note(cell, "more output than is kept: the rest was left out")
        error = next((o for o in cell.outputs if o.output_type == "error"), None)
        return Failure(cell.source, _cause(error), _one_line(error)) if error else None

    def test_cell(self, cell: NotebookNode, statements: list[Statement]) -> CellRun:
        """Run the statements of a test cell one by one. After a timeout the rest of the cell is not tried."""
        run = CellRun()
        outputs: list[NotebookNode] = []
        self.outputs.emissions = run.emissions
        stopped: Failure | None = None
        for statement in statements:
            if stopped:
                run.failures.append(Failure(statement.source, stopped.cause, stopped.why))
                continue
            part = nbformat.v4.new_code_cell(statement.source)
            if failure := self.cell(part):
                run.failures.append(failure)
                stopped = failure if failure.cause == "timeout" else None
            # A traceback shows the statement: what hidden ones print stays out of the notebook, and so of every page.
            outputs += [] if statement.hidden else part.outputs
        self.outputs.emissions = None
        cell.outputs, cell.execution_count = outputs, self.count
        return run

    def _stop(self, cell: NotebookNode, seconds: int) -> Failure:
        """Interrupt a cell that ran out of time; a kernel that does not listen is ended.

        What never ends is often called again further down: each timeout halves the patience with the next one.
        """
        failure = Failure(cell.source, "timeout", f"stopped after {seconds} seconds")
        _note(cell, failure.why)
        try:
            self.kernel.interrupt()
            self.kernel.run("None", PATIENCE, lambda message: None)
        except (CellTimeout, KernelGone):
            self.gone = Failure("", "timeout", "not run: an earlier cell could not be stopped and the kernel was ended")
            self.kernel.close()
        self.count += 1
        self.cell_seconds = max(self.cell_seconds / 2, PATIENCE)
        return failure

    def _died(self, cell: NotebookNode, breach: Breach) -> Failure:
        self.kernel.close()
        self.gone = Failure("", breach.cause, f"not run: the kernel was ended in an earlier cell ({breach.why})")
        _note(cell, breach.why)
        return Failure(cell.source, breach.cause, breach.why)

    def _scrub(self, cell: NotebookNode) -> None:
        """Leave this machine's folders out of what is kept: the same submission gives the same notebook anywhere."""
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = scratch.without_folders(output.text, self.folder)
            elif output.output_type == "error":
                output.traceback = [scratch.without_folders(line, self.folder) for line in output.traceback]


def _note(cell: NotebookNode, text: str) -> None:
    cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text=f"\n[{text}]\n"))


def _cause(error: NotebookNode) -> str:
    """``memory`` where an allocation was refused, as Python, NumPy and PyTorch say it."""
    refused = error.ename in ("MemoryError", "_ArrayMemoryError") or "can't allocate memory" in str(error.evalue)
    return "memory" if refused else "error"


def _one_line(error: NotebookNode) -> str:
    text = _ANSI.sub("", f"{error.get('ename', '')}: {error.get('evalue', '')}")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 200 else line[:199] + "…"
