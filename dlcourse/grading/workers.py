"""Worker processes of one machine, and what they are given to do."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback

from dlcourse.course import Course
from dlcourse.grading import warm
from dlcourse.grading.job import Job
from dlcourse.grading.scratch import pack, unpack

T = TypeVar("T")


WORKER_DIED: tuple[type[Exception], ...] = (BrokenProcessPool,)  # raised by a task that was lost and can be done again


class Pool(Protocol):
    """Where jobs are done: worker processes here, or a cluster. ``count`` is how many at a time."""

    count: int

    def submit(self, job: Job) -> Future[NotebookNode]:
        """Begin a job."""
        ...


class Workers:
    """Processes of this machine. They share one fork server, and end with this process, however it ends.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        return ProcessPoolExecutor(self.count, context, _begin, (warm.address(),))

    def submit(self, job: Job) -> Future[NotebookNode]:
        return self._submit(Job.do, job)

    def feedback(self, root: Path, assignment: str, student: str) -> Future[None]:
        """Write a student's feedback pages."""
        return self._submit(_feedback, root, assignment, student)

    def _submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        try:
            return self._pool.submit(function, *arguments)
        except BrokenProcessPool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._start()
            return self._pool.submit(function, *arguments)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # do not wait for what runs: a worker that is killed takes its sandbox with it
            for process in list((self._pool._processes or {}).values()):
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _begin(server: str) -> None:
    """Set a worker up: it ends with the process that it works for, leaves Ctrl-C to it and uses its fork server."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm.lend(server)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


def _feedback(root: Path, assignment: str, student: str) -> None:
    course = Course(root)
    course.convert(GenerateFeedback, assignment, student, ignore=["*"])
    unpack(pack(course.path("autograded", assignment, student)), course.path("feedback", assignment, student))
