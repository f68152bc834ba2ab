"""Kernels that start in milliseconds: forked from a process that has imported the scientific stack, into a sandbox."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import resource
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from dlcourse.errors import CourseError
from dlcourse.grading import kernel, sandbox
from dlcourse.grading.forkserver import LISTENERS
from dlcourse.grading.limits import MIB, Breach, Limits
from dlcourse.grading.sandbox import Sandbox

END_SECONDS = 10.0
MAX_GROWTH = 1024 * MIB  # of the grader itself, by what one kernel sends


class ForkServer:
    """The process that kernels are forked from; it ends with this one.

    Args:
        threads: threads that numerical libraries may use in its kernels.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._folder = tempfile.mkdtemp(prefix="dlc-")
        self.address = f"{self._folder}/fork"
        owner, self._owned = os.pipe()  # closed with this process, which ends the other
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(self.address)
            listener.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dlcourse.grading.forkserver", str(listener.fileno()), str(owner)],
                stdin=subprocess.DEVNULL,
                pass_fds=[listener.fileno(), owner],
                stdout=self._said,
                stderr=self._said,
                env=kernel.environment(self._folder, "", threads),
                cwd=self._folder,
            )

        os.close(owner)

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def words(self) -> str:
        """What it said last."""
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - 500))
        return " ".join(self._said.read().decode("utf-8", "replace").split())

    def end(self) -> None:
        os.close(self._owned)
        self._process.kill()
        self._process.wait()
        self._said.close()
        shutil.rmtree(self._folder, ignore_errors=True)


_servers: dict[tuple[int, int], ForkServer] = {}  # by process, since a forked one inherits this, and threads
LENT = "DLCOURSE_FORK_SERVER_"  # with the number of threads: a process lends its fork server to its workers


def server(threads: int) -> ForkServer:
    """This process's fork server, started when there is none."""
    mine = (os.getpid(), threads)
    found = _servers.get(mine)
    if found is None or not found.alive():
        if not _servers:
            atexit.register(end)
        if found is not None:
            found.end()
        found = _servers[mine] = ForkServer(threads)
    return found


def end() -> None:
    """End this process's fork servers."""
    for process, threads in list(_servers):
        if process == os.getpid():
            _servers.pop((process, threads)).end()


@contextmanager
def warm(
    mode: str, *, sandboxed: bool, files: bytes, limits: Limits, threads: int = 1, figures: bool = True
) -> Iterator[tuple[kernel.Kernel, str]]:
    """Fork a kernel.

    Args:
        mode: of the checks: ``emit`` or ``record``.
        sandboxed: inside bubblewrap.
        files: a tar archive of what the notebook may load.
        figures: show figures; without, plotting code runs and draws nothing.

    Yields:
        the kernel, and the folder that it works in, as it sees it.

    Raises:
        CourseError: it does not start: the machine's fault, not a submission's.
    """
    with ExitStack() as stack:
        own = stack.enter_context(tempfile.TemporaryDirectory(prefix="dlc-", ignore_cleanup_errors=True))
        folder = sandbox.FOLDER if sandboxed else f"{own}/work"
        Path(own, "work").mkdir()
        key = secrets.token_hex(16)
        request = {
            "folder": folder,
            "environment": kernel.environment(folder, mode, threads),
            "key": key,
            "user": None,
            "limits": {name: getattr(limits, name) for name in ("memory", "processes", "open_files")},
            "figures": figures,
            "seed": None if mode == "record" else 0,
        }
        walls = Sandbox(limits) if sandboxed else None
        if walls is not None:
            request["user"] = walls.user
        connection = _connect(threads)
        host = _Host(connection, walls)
        paths = {name: f"{own}/kernel-{port}" for port, name in enumerate(LISTENERS, 1)}  # named as Jupyter expects
        with ExitStack() as lent:
            archive = lent.enter_context(tempfile.TemporaryFile())
            archive.write(files)
            archive.flush()
            archive.seek(0)
            fds = [lent.enter_context(_listen(paths[name])).fileno() for name in LISTENERS]
            fds += [archive.fileno(), *(walls.namespaces if walls else ())]
            socket.send_fds(connection, [json.dumps(request).encode()], fds)
        started = kernel.Kernel(host, {name: f"ipc://{path}" for name, path in paths.items()}, key.encode())
        started.connection = {
            "transport": "ipc",
            "ip": f"{own}/kernel",
            **{f"{name}_port": port for port, name in enumerate(LISTENERS, 1)},
            "key": key,
            "signature_scheme": "hmac-sha256",
        }
        stack.callback(started.close)
        try:
            started.wait_until_ready()
        except (kernel.KernelGone, kernel.CellTimeout) as error:
            raise CourseError(f"The kernel does not start: {host.failure() or error}") from error
        yield started, folder


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    return listener


def lend(address: str, threads: int = 1) -> None:
    """Let this process and its children use a fork server that runs already."""
    os.environ[f"{LENT}{threads}"] = address


def address(threads: int = 1) -> str:
    """Of the fork server to use: the one that was lent to this process, or else its own."""
    lent = os.environ.get(f"{LENT}{threads}")
    return lent if lent is not None and Path(lent).exists() else server(threads).address


def _connect(threads: int) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(address(threads))
    except OSError:
        connection.close()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(server(threads).address)  # the lent one has died
    return connection


def _resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


class _Host:
    """A forked kernel and, unless it is unprotected, the sandbox around it."""

    def __init__(self, connection: socket.socket, walls: Sandbox | None) -> None:
        self._connection, self._walls = connection, walls
        self._told: dict[str, Any] = {}
        self._before = _resident()
        connection.setblocking(False)

    def breach(self) -> Breach | None:
        try:
            while message := self._connection.recv(65536):
                self._told.update(json.loads(message))
            self._told.setdefault("ended", None)
        except BlockingIOError:
            pass
        if "ended" in self._told:
            return Breach("kernel_died", "the kernel died in this cell")
        if _resident() > self._before + MAX_GROWTH:  # zmq gathers the parts of a message, which has no end
            return Breach("kernel_died", "ended after more output than can be held")
        return self._walls.breach(self._told.get("inherited", 0)) if self._walls else None

    def failure(self) -> str:
        """What went wrong before the kernel ran: the last line of it."""
        return str(self._told.get("failed", "")).strip().rpartition("\n")[2]

    def end(self) -> None:
        if self._walls is not None:
            self._walls.end()
        # The sitter ends the kernel, waits for it, and closes its side.
        self._connection.settimeout(END_SECONDS)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            while self._connection.recv(65536):
                pass
        self._connection.close()
