"""Execute an aligned notebook cell by cell in a kernel and write down what each test cell emitted."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_core.utils import ensure_async, run_sync
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from dlcourse.errors import CourseError
from dlcourse.grading import kernel
from dlcourse.grading.client import MAX_MESSAGES, MAX_OUTPUT, Client
from dlcourse.grading.judge import Failure
from dlcourse.grading.key import Statement, is_test
from dlcourse.grading.scratch import scratch_folder, without_folders

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
    """What a notebook did: its test cells by grade_id, how long it took in seconds; of a solution also its outputs."""

    cells: dict[str, CellRun] = field(default_factory=dict)
    seconds: float = 0.0
    graded_seconds: float = 0.0
    notebook: NotebookNode | None = None


def execute(
    notebook: NotebookNode,
    statements: dict[str, list[Statement]],
    *,
    mode: str = "emit",
    sandboxed: bool = True,
    files: Path | None = None,
    cell_seconds: float = 20.0,
    notebook_seconds: float = 120.0,
    threads: int = 1,
    figures: bool = True,
) -> Transcript:
    """Run every code cell of ``notebook`` in a fresh kernel, in place.

    Test cells are run statement by statement from ``statements``: neither their hidden parts nor later cells are ever
    on a disk that the kernel can see.

    Args:
        notebook: an aligned notebook; its code cells get outputs.
        statements: of each test cell, by grade_id.
        mode: ``emit`` to grade, ``record`` to record references from a solution.
        sandboxed: run the kernel inside bubblewrap.
        files: a folder whose files the notebook may load; copied, without links and notebooks.
        cell_seconds: limit for one cell or one statement of a test cell.
        notebook_seconds: limit for the whole notebook.
        threads: threads that numerical libraries may use.
        figures: show figures; without, plotting code runs and draws nothing.
    """
    transcript = Transcript()
    begin = time.monotonic()
    with scratch_folder(files) as scratch:
        manager = kernel.manager(scratch, mode, sandboxed, threads)
        page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell()])  # nbclient puts each cell here
        client = Client(page, km=manager, allow_errors=True, record_timing=False, skip_cells_with_tag="")
        client.owns_km = True
        client.reset_execution_trackers()
        with _started(client, scratch, kernel.environment(scratch, mode, threads, figures)):
            runner = _Runner(client, scratch, begin + notebook_seconds, cell_seconds)
            for cell in notebook.cells:
                if cell.cell_type != "code":
                    continue
                start = time.monotonic()
                if is_test(cell):
                    run = runner.test_cell(cell, statements.get(cell.metadata.nbgrader.grade_id, []))
                    transcript.cells[cell.metadata.nbgrader.grade_id] = run
                    run.seconds = time.monotonic() - start
                    transcript.graded_seconds += run.seconds
                else:
                    runner.cell(cell)
                    if cell.metadata.get("nbgrader"):
                        transcript.graded_seconds += time.monotonic() - start
    transcript.seconds = time.monotonic() - begin
    return transcript


@contextmanager
def _started(client: Client, scratch: Path, environment: dict[str, str]) -> Iterator[None]:
    """Start the kernel and end it.

    Raises:
        CourseError: the kernel does not start at all, with what it said last: the machine's fault, not a submission's.
    """
    with tempfile.TemporaryFile() as said, ExitStack() as stack:
        assert client.km is not None
        stack.callback(client.km.context.destroy, linger=0)
        try:
            stack.enter_context(client.setup_kernel(cwd=str(scratch), env=environment, stdout=said, stderr=said))
        except RuntimeError as error:
            said.seek(max(0, said.tell() - 500))
            words = " ".join(said.read().decode("utf-8", "replace").split())
            raise CourseError(f"The kernel does not start: {words or error}") from error
        yield


class _Runner:
    """Runs cells until time or the kernel is gone; what comes after gets the cause of that."""

    def __init__(self, client: Client, scratch: Path, deadline: float, cell_seconds: float) -> None:
        self.scratch = scratch
        self.client, self.deadline, self.cell_seconds = client, deadline, cell_seconds
        self.gone: Failure | None = None

    def cell(self, cell: NotebookNode) -> Failure | None:
        """Run one cell; return why it did not end well, if it did not."""
        cell.outputs, cell.execution_count = [], None
        if self.gone:
            return Failure(cell.source, self.gone.cause, self.gone.why)
        left = self.deadline - time.monotonic()
        if left <= 0:
            self.gone = Failure("", "timeout", "not run: the notebook's time was used up")
            return Failure(cell.source, self.gone.cause, self.gone.why)
        self.client.timeout = max(1, round(min(self.cell_seconds, left)))
        self.client.size = self.client.count = 0
        try:
            self.client.execute_cell(cell, 0)
        except CellTimeoutError:
            return self._stop(cell)
        except DeadKernelError:
            return self._died(cell)
        except (AttributeError, KeyError, TypeError, ValueError):  # the kernel sent what cannot be read as a message
            self._end()
            return self._died(cell)
        self._scrub(cell)
        dropped = self.client.count > MAX_MESSAGES or self.client.size > MAX_OUTPUT
        if dropped:
            note = "\n[more output than is kept: the rest was left out]\n"
            cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text=note))
        error = next((o for o in cell.outputs if o.output_type == "error"), None)
        return Failure(cell.source, "error", _one_line(error)) if error else None

    def test_cell(self, cell: NotebookNode, statements: list[Statement]) -> CellRun:
        """Run the statements of a test cell one by one. After a timeout the rest of the cell is not tried."""
        run = CellRun()
        outputs: list[NotebookNode] = []
        self.client.emissions = run.emissions
        stopped: Failure | None = None
        for statement in statements:
            if stopped:
                run.failures.append(Failure(statement.source, stopped.cause, stopped.why))
                continue
            part = nbformat.v4.new_code_cell(statement.source)
            if failure := self.cell(part):
                run.failures.append(failure)
                stopped = failure if failure.cause != "error" else None
            # A traceback shows the statement: what hidden ones print stays out of the notebook, and so of every page.
            outputs += [] if statement.hidden else part.outputs
        self.client.emissions = None
        cell.outputs, cell.execution_count = outputs, self.client.code_cells_executed
        return run

    def _stop(self, cell: NotebookNode) -> Failure:
        """Interrupt a cell that ran out of time; a kernel that does not listen is ended.

        What never ends is often called again further down: each timeout halves the patience with the next one.
        """
        failure = Failure(cell.source, "timeout", f"stopped after {self.client.timeout} seconds")
        note = nbformat.v4.new_output("stream", name="stderr", text=f"\n[{failure.why}]\n")
        cell.outputs.append(note)
        self.client.let_go()
        probe = nbformat.v4.new_code_cell("None")
        try:
            assert self.client.km is not None
            _wait(self.client.km.interrupt_kernel)
            self.client.timeout = PATIENCE
            self.client.execute_cell(probe, 0)
        except (CellTimeoutError, DeadKernelError, RuntimeError):
            self.gone = Failure("", "timeout", "not run: an earlier cell could not be stopped and the kernel was ended")
            self._end()
        self.cell_seconds = max(self.cell_seconds / 2, PATIENCE)
        return failure

    def _scrub(self, cell: NotebookNode) -> None:
        """Leave this machine's folders out of what is kept: the same submission gives the same notebook anywhere."""
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = without_folders(output.text, self.scratch)
            elif output.output_type == "error":
                output.traceback = [without_folders(line, self.scratch) for line in output.traceback]

    def _end(self) -> None:
        assert self.client.km is not None
        _wait(self.client.km.shutdown_kernel, now=True)

    def _died(self, cell: NotebookNode) -> Failure:
        self.gone = Failure("", "kernel_died", "not run: the kernel died in an earlier cell")
        note = "\n[the kernel died in this cell]\n"
        cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text=note))
        return Failure(cell.source, "kernel_died", "the kernel died in this cell")


def _wait(function: Any, **arguments: Any) -> Any:
    """Call a coroutine function of the kernel manager from synchronous code."""

    async def call() -> Any:
        return await ensure_async(function(**arguments))

    return run_sync(call)()


def _one_line(error: NotebookNode) -> str:
    text = _ANSI.sub("", f"{error.get('ename', '')}: {error.get('evalue', '')}")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 200 else line[:199] + "…"
