"""A Dask cluster that runs notebooks: its workers hold sandboxed kernels, the gradebook stays here."""

from __future__ import annotations

from concurrent.futures import Future
from types import TracebackType

from nbformat import NotebookNode

import dlcourse
from dlcourse.errors import CourseError
from dlcourse.grading import sandbox
from dlcourse.grading.job import Job

CONNECT_SECONDS = 10
INSTALL = "Grading on a cluster needs Dask, which is not installed: `pip install 'dlcourse[cluster]'`."


class Cluster:
    """The cluster behind a Dask scheduler.

    Args:
        address: of the scheduler, such as ``tcp://10.0.0.5:8786``.

    Raises:
        CourseError: Dask is not installed, there is no scheduler or no worker, or a worker could not grade: another
            version of this package, or no sandbox. The message names the worker.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise CourseError(INSTALL) from error
        try:
            self._client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise CourseError(f"There is no Dask scheduler at {address}: {error}") from error
        try:
            self.count = self._look()
        except BaseException:
            self._client.close()
            raise
        self._executor = self._client.get_executor(pure=False)  # two jobs are two, also when they are alike

    def _look(self) -> int:
        """How many notebooks at a time the cluster takes."""
        threads: dict[str, int] = self._client.nthreads()
        if not threads:
            raise CourseError("The Dask cluster has no workers. Start some, then run the command again.")
        for worker, why_not in self._client.run(_why_not, dlcourse.__version__).items():
            if why_not:
                raise CourseError(f"The worker {worker} cannot grade: {why_not}")
        return sum(threads.values())

    def submit(self, job: Job) -> Future[NotebookNode]:
        """Begin a job; when its worker is lost, another one begins it again."""
        future: Future[NotebookNode] = self._executor.submit(_do, job)
        return future

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=False)
        self._client.close()


def _do(job: Job) -> NotebookNode:
    return job.do()


def _why_not(version: str) -> str:
    """Why this machine cannot grade, or nothing."""
    if dlcourse.__version__ != version:
        return f"it has dlcourse {dlcourse.__version__}, and the grader {version}"
    try:
        sandbox.require()
    except CourseError as error:
        return str(error)
    return ""
