"""Answers that differ in one cell share everything before it: the notebook runs once, and forks where they part.

A process of its own executes the solution in an IPython shell. Where an answer replaces a cell, it forks, and the fork
runs the answer and the rest of the notebook, with the same runner and statements as a submission. Only answers of the
course's own audit are run in this way: nothing separates a fork from the grader but good manners. With one thread only:
the thread pools of numerical libraries do not survive a fork.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nbformat import NotebookNode

from dlcourse.grading import kernel
from dlcourse.grading.key import Statement
from dlcourse.grading.run import CellRun, Runner

Changes = dict[str, str]  # the text of cells by grade_id
Cells = dict[str, CellRun]
CELL_SECONDS, NOTEBOOK_SECONDS = 60.0, 600.0  # far above a submission's: whether a grader is fair is no matter of speed


@dataclass(frozen=True)
class Request:
    """A notebook with its solution, the statements of its test cells, and what each job changes in it."""

    notebook: NotebookNode
    statements: dict[str, list[Statement]]
    jobs: list[Changes]
    workers: int
    folder: str


def run_all(
    notebook: NotebookNode, statements: dict[str, list[Statement]], jobs: list[Changes]
) -> Iterator[tuple[int, Cells]]:
    """Yield what the test cells of each job did, with the number of the job, in any order.

    A job whose process died is left out.
    """
    with tempfile.TemporaryDirectory(prefix="dlc-", ignore_cleanup_errors=True) as folder:
        environment = kernel.environment(folder, "emit") | {"CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "agg"}
        request = Request(notebook, statements, jobs, os.cpu_count() or 1, folder)
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "dlcourse.audit.tree"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                pickle.dump(request, process.stdin)
                process.stdin.close()
                with contextlib.suppress(EOFError):
                    while True:
                        yield pickle.load(process.stdout)
            finally:
                process.kill()


class Shell:
    """An IPython shell in this process, in the place of a kernel."""

    def __init__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        config = Config()
        config.HistoryManager.enabled = False
        self._shell = InteractiveShell.instance(config=config)
        self._shell.display_pub.publish = self._publish
        for name in ("showtraceback", "showsyntaxerror"):  # slow, and nobody reads them
            setattr(self._shell, name, lambda *_, **__: None)
        self._take: Callable[[dict[str, Any]], None] = lambda message: None

    def run(self, code: str, seconds: float, take: Callable[[dict[str, Any]], None]) -> bool:
        """Execute ``code``; as ``kernel.Kernel.run``, except that printed text is dropped."""
        self._take = take
        late = False

        def stop(*_: Any) -> None:
            nonlocal late
            late = True
            raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, seconds, 1)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                result = self._shell.run_cell(code, store_history=True)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if late:
            raise kernel.CellTimeout
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            content = {"ename": type(error).__name__, "evalue": str(error), "traceback": []}
            take({"msg_type": "error", "content": content})
        return True

    def _publish(self, data: dict[str, Any], metadata: dict[str, Any] | None = None, **_: Any) -> None:
        self._take({"msg_type": "display_data", "content": {"data": data, "metadata": metadata or {}}})

    def interrupt(self) -> None:
        """Nothing to do: a cell is interrupted when its time is over."""

    def close(self) -> None:
        """Nothing to do: the process ends."""


class Tree:
    """Walks down a notebook and forks off the jobs."""

    def __init__(self, request: Request, runner: Runner, results: IO[bytes]) -> None:
        self.request, self.runner, self.results = request, runner, results
        self.cells: Cells = {}
        self.running: dict[int, int] = {}  # number of the job by process

    def walk(self) -> None:
        notebook = self.request.notebook
        places = {cell.metadata.get("nbgrader", {}).get("grade_id"): n for n, cell in enumerate(notebook.cells)}
        begins = [min(places[grade_id] for grade_id in changes) for changes in self.request.jobs]
        for place, cell in enumerate(notebook.cells[: max(begins, default=-1) + 1]):
            for number in [n for n, begin in enumerate(begins) if begin == place]:
                self._make_room(self.request.workers)
                self._fork(number, place)
            self.runner.advance(cell, self.request.statements, self.cells)
        self._make_room(1)

    def _fork(self, number: int, place: int) -> None:
        process = os.fork()
        if process:
            self.running[process] = number
            return
        try:
            own = f"{self.request.folder}/job{number}"
            shutil.copytree(Path.cwd(), own, ignore=lambda folder, names: [n for n in names if n.startswith("job")])
            os.chdir(own)
            for cell in self.request.notebook.cells[place:]:
                grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
                cell.source = self.request.jobs[number].get(grade_id, cell.source)
                self.runner.advance(cell, self.request.statements, self.cells)
            Path(self.request.folder, f"job{number}.done").write_bytes(pickle.dumps(self.cells))
        finally:
            os._exit(0)

    def _make_room(self, limit: int) -> None:
        """Wait until fewer than ``limit`` jobs run, and tell the results of those that ended."""
        while len(self.running) >= limit:
            process, _ = os.wait()
            number = self.running.pop(process, None)
            done = Path(self.request.folder, f"job{number}.done")
            if number is not None and done.exists():
                pickle.dump((number, pickle.loads(done.read_bytes())), self.results)
                self.results.flush()
            shutil.rmtree(done.with_suffix(""), ignore_errors=True)


def main() -> None:
    from tqdm import tqdm

    from dlcourse.grading.forkserver import WARM, seed

    request: Request = pickle.load(sys.stdin.buffer)
    for module in WARM:
        importlib.import_module(module)
    import torch

    torch.set_num_threads(1)
    tqdm.monitor_interval = 0  # no thread beside the one that forks
    sys.path[:] = [entry for entry in sys.path if entry] + [""]
    seed(0)
    runner = Runner(Shell(), request.folder, time.monotonic() + NOTEBOOK_SECONDS, CELL_SECONDS)
    with os.fdopen(os.dup(1), "wb") as results:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a library prints there
        Tree(request, runner, results).walk()


if __name__ == "__main__":
    main()
