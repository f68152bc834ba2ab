"""Talk to an IPython kernel over Jupyter's messaging protocol, with bounds on everything that it can do to the grader.

A kernel of the grader is forked from a warm process into a sandbox (``warm.py``); ``course check`` on a learner's
machine starts an ordinary one (``cold``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session
from numpy._core._multiarray_umath import __cpu_dispatch__

from dlcourse.check import MODE_VARIABLE
from dlcourse.errors import CourseError
from dlcourse.grading.limits import MIB, Breach

START_SECONDS = 180.0
MAX_MESSAGE = 64 * MIB  # of one message; a larger one closes the kernel's connection
MAX_PARTS = 1000  # of one message, which has six and its buffers
MAX_RECEIVED = 128 * MIB  # of one cell, kept or not; then the kernel is ended
GRACE = 1.0  # seconds without a message after the reply to a cell: its last ones were lost
TICK = 0.1  # seconds between two looks at a kernel's limits
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# One instruction set, so that references are recorded bit for bit and a grade does not depend on the processor.
# NumPy's exp and log, OpenBLAS and PyTorch all differ in the last bit between AVX2 and AVX-512.
ARITHMETIC = {
    "NPY_DISABLE_CPU_FEATURES": " ".join(f for f in __cpu_dispatch__ if f.startswith(("AVX512", "X86_V4"))),
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # float32 convolutions
}
Message = dict[str, Any]


def environment(folder: str, mode: str, threads: int = 1) -> dict[str, str]:
    """The kernel's whole environment; of the grader's own only the search path is kept."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "IPYTHONDIR": f"{folder}/.ipython",
        "MPLCONFIGDIR": f"{folder}/.matplotlib",
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        MODE_VARIABLE: mode,
        **dict.fromkeys(THREADS, str(threads)),
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait leave the processor to others: kernels run side by side
        **ARITHMETIC,
    }


class Host(Protocol):
    """Where a kernel runs."""

    def breach(self) -> Breach | None:
        """Why the kernel cannot go on: it has ended, or it has crossed a limit."""

    def end(self) -> None:
        """End the kernel and everything that it started."""


class CellTimeout(Exception):
    """A cell did not end in time."""


class KernelGone(Exception):
    """The kernel has ended, or was ended because it crossed a limit."""

    def __init__(self, breach: Breach) -> None:
        super().__init__(breach.why)
        self.breach = breach


class Kernel:
    """The channels of one kernel.

    Args:
        host: where it runs.
        addresses: of its shell, iopub and control sockets.
        key: of the signatures of its messages.
    """

    def __init__(self, host: Host, addresses: dict[str, str], key: bytes) -> None:
        self.connection: dict[str, Any] = {}  # what a connection file of Jupyter holds
        self._host = host
        self._session = Session(key=key, username="")
        self._context = zmq.Context()
        self._shell = self._connect(zmq.DEALER, addresses["shell"])
        self._iopub = self._connect(zmq.SUB, addresses["iopub"])
        self._iopub.setsockopt(zmq.SUBSCRIBE, b"")
        self._control = self._connect(zmq.DEALER, addresses["control"])
        self._poller = zmq.Poller()
        self._poller.register(self._shell, zmq.POLLIN)
        self._poller.register(self._iopub, zmq.POLLIN)
        self._looked = 0.0

    def _connect(self, kind: int, address: str) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        if kind == zmq.DEALER:
            made.setsockopt(zmq.IDENTITY, self._session.bsession)
        made.connect(address)
        return made

    def wait_until_ready(self) -> None:
        """Wait until the kernel publishes, and answers.

        Raises:
            KernelGone: it ended instead.
            CellTimeout: it did not answer in time.
        """
        deadline = time.monotonic() + START_SECONDS
        asked = time.monotonic()
        while not self._iopub.poll(20):  # a kernel welcomes its subscriber; one before ipykernel 7 has to be asked
            self._look()
            if time.monotonic() > asked + 1:
                self._session.send(self._shell, "kernel_info_request", {})
                asked = time.monotonic()
            if time.monotonic() > deadline:
                raise CellTimeout
        self._synchronise(deadline)

    def _synchronise(self, deadline: float) -> None:
        """Ask, until the answer is complete: what is published from then on arrives."""
        while not self._request("kernel_info_request", {}, deadline, lambda message: None):
            pass

    def run(self, code: str, seconds: float, take: Callable[[Message], None]) -> bool:
        """Execute ``code`` and hand each message that it causes on iopub to ``take``.

        Returns:
            whether all of its messages arrived: the kernel drops what floods it, and zmq what is too large.

        Raises:
            CellTimeout: it did not end within ``seconds``; it may still be running.
            KernelGone: the kernel has ended, or has crossed a limit.
        """
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": False}
        deadline = time.monotonic() + seconds
        whole = self._request("execute_request", content, deadline, take)
        if not whole:
            self._synchronise(max(deadline, time.monotonic() + 10 * GRACE))
        return whole

    def interrupt(self) -> None:
        """Ask the kernel to interrupt the cell that it runs."""
        self._session.send(self._control, "interrupt_request", {})

    def _request(
        self,
        kind: str,
        content: dict[str, Any],
        deadline: float,
        take: Callable[[Message], None],
    ) -> bool:
        request = self._session.msg(kind, content)
        self._session.send(self._shell, request)
        sent = request["header"]["msg_id"]
        idle = answered = False
        received, heard = 0, time.monotonic()
        while not (idle and answered):
            now = time.monotonic()
            if answered and now > heard + GRACE:
                return False
            if now - self._looked > TICK:
                self._look()
                self._looked = now
            if now > deadline:
                raise CellTimeout
            for socket, _ in self._poller.poll(int(1000 * min(TICK, deadline - now)) + 1):
                parts = _parts(socket)
                heard = time.monotonic()
                received += sum(len(part) for part in parts)
                if received > MAX_RECEIVED:
                    raise KernelGone(Breach("kernel_died", f"ended after {MAX_RECEIVED // MIB} MiB of output"))
                message = self._read(parts)
                if message is None or message["parent_header"].get("msg_id") != sent:
                    continue
                if socket is self._shell:
                    answered = True
                elif message["msg_type"] == "status":
                    idle = idle or message["content"].get("execution_state") == "idle"
                else:
                    take(message)
        return True

    def _look(self) -> None:
        if breach := self._host.breach():
            raise KernelGone(breach)

    def _read(self, parts: list[zmq.Frame]) -> Message | None:
        """One message, or None for what is none: a kernel can send anything."""
        try:
            _, frames = self._session.feed_identities(parts, copy=False)
            message: Message = self._session.deserialize(frames, copy=False)
        except Exception:
            return None
        known = isinstance(message["parent_header"], dict) and isinstance(message["content"], dict)
        return message if known and isinstance(message["msg_type"], str) else None

    def close(self) -> None:
        """End the kernel, and leave nothing of it behind."""
        if not self._context.closed:
            self._context.destroy(linger=0)
            self._host.end()


def _parts(socket: zmq.Socket[bytes]) -> list[zmq.Frame]:
    """Receive one message. Each part costs far more here than the two bytes that it takes to send."""
    parts = [socket.recv(copy=False)]
    while parts[-1].more:
        if len(parts) == MAX_PARTS:
            raise KernelGone(Breach("kernel_died", f"ended after a message of more than {MAX_PARTS} parts"))
        parts.append(socket.recv(copy=False))
    return parts


@contextmanager
def cold(folder: Path, mode: str, user: int | None = None) -> Iterator[Kernel]:
    """Start an ordinary kernel in ``folder``, as Jupyter does; with ``user`` as that user, without a network.

    Raises:
        CourseError: it does not start, with what it said last.
    """
    command = [sys.executable, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    command += ["--InteractiveShellApp.ignore_cwd=True", "--HistoryManager.enabled=False"]
    command += ["--InteractiveShellApp.exec_lines=import sys; sys.path = [p for p in sys.path if p] + ['']"]
    manager = KernelManager(connection_file=str(folder / ".kernel.json"), shutdown_wait_time=1.0)
    _lend_font_list(folder)
    if user is not None:
        from dlcourse.grading import other_user

        manager.transport, manager.ip = "ipc", str(folder / ".kernel")
        manager.write_connection_file()
        command = other_user.wrap(command, user)
        other_user.hand_over(folder, user)
    manager._kernel_spec = KernelSpec(argv=command, language="python", interrupt_mode="message")
    with tempfile.TemporaryFile() as said:
        variables = {**environment(str(folder), mode), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        manager.start_kernel(cwd=str(folder), env=variables, stdout=said, stderr=subprocess.STDOUT)
        addresses = {name: manager._make_url(name) for name in ("shell", "iopub", "control")}
        kernel = Kernel(_Process(manager), addresses, manager.session.key)
        try:
            kernel.wait_until_ready()
        except (KernelGone, CellTimeout) as error:
            kernel.close()
            said.seek(max(0, said.seek(0, os.SEEK_END) - 500))
            words = " ".join(said.read().decode("utf-8", "replace").split())
            raise CourseError(f"The kernel does not start: {words or error}") from error
        try:
            yield kernel
        finally:
            kernel.close()


class _Process:
    """An ordinary kernel as a host: no limits."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager

    def breach(self) -> Breach | None:
        return None if self.manager.is_alive() else Breach("kernel_died", "the kernel died in this cell")

    def end(self) -> None:
        self.manager.shutdown_kernel(now=True)


def _lend_font_list(folder: Path) -> None:
    """Copy matplotlib's list of fonts, which takes seconds to make."""
    import matplotlib.font_manager

    target = folder / ".matplotlib"
    target.mkdir(exist_ok=True)
    for cached in Path(matplotlib.get_cachedir()).glob("fontlist-*.json"):
        shutil.copy(cached, target)
