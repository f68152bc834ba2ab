"""A process that has imported the scientific stack once and forks an IPython kernel for each submission.

It never runs a submission's code itself. For each request it forks a sitter, which joins the namespaces of a sandbox
that bubblewrap has made for this submission alone, and forks the kernel there. The sitter stays outside the sandbox's
process namespace, where the kernel cannot see it, reports how the kernel ended, and ends it when the connection to the
grader is lost. One thread only: a process with several can neither be forked safely nor join a namespace.

Every kernel inherits what is imported here: no answer key, no course, no path of either.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import resource
import select
import signal
import socket
import sys
import tarfile
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

from dlcourse.grading import seccomp

WARM = (
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.magics.execution",
    "IPython.extensions.storemagic",
    "dlcourse.check",
    "dlcourse.plots",
    "ipykernel.debugger",
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "numpy",
    "scipy.special",
    "sklearn.datasets",  # of which `dlcourse.data` takes the digits
    "torch",
    "torchvision",
    "tornado.platform.asyncio",
    "tqdm.auto",
)
LISTENERS = ("shell", "iopub", "stdin", "control", "hb")  # a kernel's sockets, in the order in which they are sent
MAX_REQUEST = 2**18
RESERVED = 2**30  # bytes of address space that threads reserve for their stacks and heaps and do not use
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 24, 38
_LAST_CAPABILITY = 63
_libc = ctypes.CDLL(None, use_errno=True)


def serve(listener: socket.socket, owner: int) -> None:
    """Fork a kernel for each connection, until the other end of the pipe ``owner`` is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for sitters
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the grader, which then ends this process
    while listener.fileno() in select.select([listener.fileno(), owner], [], [])[0]:
        connection, _ = listener.accept()
        with connection:
            try:
                text, fds, *_ = socket.recv_fds(connection, MAX_REQUEST, 32)
                request = json.loads(text)
            except (OSError, ValueError):
                continue
            if os.fork() == 0:
                listener.close()
                os.close(owner)
                try:
                    _sit(connection, request, fds)
                except BaseException:
                    _tell(connection, failed=traceback.format_exc())
                os._exit(0)
            for fd in fds:
                os.close(fd)


def _sit(connection: socket.socket, request: dict[str, Any], fds: list[int]) -> None:
    """Fork the kernel inside the sandbox, wait for its end or the grader's, and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    Path("/proc/self/oom_score_adj").write_text("1000", "ascii")  # when the machine's memory ends, this ends first
    _reopen_files(except_for=fds)
    listeners = dict(zip(LISTENERS, fds, strict=False))
    archive, *namespaces = fds[len(LISTENERS) :]
    _, resident, mapped = map(int, Path("/proc/self/statm").read_text().split()[:3])  # anonymous: their difference
    for namespace in namespaces:
        _check(_libc.setns(namespace, 0), "setns")
        os.close(namespace)
    kernel = os.fork()
    if kernel == 0:
        try:
            _become_kernel(connection, request, listeners, archive, confined=bool(namespaces))
        except BaseException:
            _tell(connection, failed=traceback.format_exc())
        os._exit(1)
    for fd in (*listeners.values(), archive):
        os.close(fd)
    _tell(connection, started=kernel, inherited=(resident - mapped) * resource.getpagesize())
    ended = os.pidfd_open(kernel)
    waiting = select.poll()
    waiting.register(ended, select.POLLIN)
    waiting.register(connection, select.POLLIN)
    waiting.poll()
    with contextlib.suppress(OSError):
        os.killpg(kernel, signal.SIGKILL)  # without a sandbox, what left the kernel's session is not found
    _, status = os.waitpid(kernel, 0)
    _tell(connection, ended=os.waitstatus_to_exitcode(status))


def _reopen_files(except_for: list[int]) -> None:
    """Open again what the imported packages hold open, such as fonts: forked processes share the place in a file."""
    for path in list(Path("/proc/self/fd").iterdir()):
        fd = int(path.name)
        if fd in except_for or not path.is_file():
            continue
        again = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.lseek(again, os.lseek(fd, 0, os.SEEK_CUR), os.SEEK_SET)
        os.dup2(again, fd, inheritable=False)
        os.close(again)


def _tell(connection: socket.socket, **message: Any) -> None:
    with contextlib.suppress(OSError):
        connection.send(json.dumps(message).encode())


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _become_kernel(
    connection: socket.socket, request: dict[str, Any], listeners: dict[str, int], archive: int, confined: bool
) -> None:
    """Turn this process into the kernel of one submission."""
    os.setsid()
    os.chdir(request["folder"])
    if confined:
        _drop_privileges(request["user"])
    with os.fdopen(archive, "rb") as file, tarfile.open(fileobj=file) as files:
        files.extractall(".", filter="data")
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None  # some package may have asked for it, and the answer was remembered
    _limit(request["limits"])
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.close(nothing)
    # Modules of a submission load from its own folder, but only after the installed packages.
    sys.path[:] = [entry for entry in sys.path if entry] + [""]
    sys.argv[:] = ["ipykernel_launcher"]
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(name, signal.default_int_handler if name == signal.SIGINT else signal.SIG_DFL)
    app = _ipython(request, listeners)
    connection.close()  # the last that it could reach of the grader
    app.start()


def _drop_privileges(user: int | None) -> None:
    """Give up for good what joining the sandbox's user namespace brought, and become ``user``."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    for capability in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # those that this kernel does not know are refused
    if user is not None:
        Path("/proc/sys/user/max_user_namespaces").write_text("0", "ascii")  # of this namespace, and below
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # it may look at itself in /proc, as any process does
    seccomp.confine()


def _limit(limits: dict[str, int]) -> None:
    """Limit address space, processes and open files, counted from what is there already; memory in use is watched."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for kind, value in (
        (resource.RLIMIT_AS, mapped + limits["memory"] + RESERVED),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _ipython(request: dict[str, Any], listeners: dict[str, int]) -> Any:
    import matplotlib
    import zmq
    from ipykernel.kernelapp import IPKernelApp
    from IPython import get_ipython

    class KernelApp(IPKernelApp):
        """ipykernel on sockets that listen already: it neither reads nor writes a connection file."""

        def init_connection_file(self) -> None:
            self.connection_file = ""

        def write_connection_file(self, **kwargs: Any) -> None:
            pass

        def cleanup_connection_file(self) -> None:
            pass

        def log_connection_info(self) -> None:
            pass

        def init_heartbeat(self) -> None:
            beat = zmq.Context().socket(zmq.ROUTER)
            self._bind_socket(beat, self.hb_port)
            threading.Thread(target=zmq.proxy, args=(beat, beat), daemon=True).start()

        def _bind_socket(self, s: zmq.Socket[Any], port: int) -> int:
            s.setsockopt(zmq.USE_FD, port)
            s.bind("ipc://listening")  # libzmq takes the descriptor and leaves the name alone
            return port

    app = KernelApp.instance(
        transport="ipc",
        ip="",
        shell_port=listeners["shell"],
        iopub_port=listeners["iopub"],
        stdin_port=listeners["stdin"],
        control_port=listeners["control"],
        hb_port=listeners["hb"],
        outstream_class="dlcourse.grading.stream.Stream",
    )
    app.session.key = request["key"].encode()
    matplotlib.use("agg")  # until the shell is there
    options = ("HistoryManager.enabled=False", "InteractiveShellApp.ignore_cwd=True", "IPythonKernel._execute_sleep=0")
    app.initialize([f"--{option}" for option in options])
    if request["figures"]:
        matplotlib.use("module://matplotlib_inline.backend_inline")
        get_ipython().enable_matplotlib("inline")
    seed(request["seed"])
    gc.enable()
    return app


def seed(seed: int | None) -> None:
    """Without a seed of its own a submission draws the same numbers each time it is graded."""
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    if seed is not None:
        torch.manual_seed(seed)


def warm_up() -> None:
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # the debugger that ipykernel imports would warn
    for module in WARM:
        importlib.import_module(module)
    import ipykernel.debugger
    import matplotlib as mpl
    import torch

    ipykernel.debugger._is_debugpy_available = False  # kernels start without a debugger
    mpl.use("module://matplotlib_inline.backend_inline")
    mpl.use("agg")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    _draw_once()
    gc.collect()
    gc.disable()
    gc.freeze()  # pages that the collector does not touch stay shared


def _draw_once() -> None:
    """Fill matplotlib's caches: fonts, glyphs, the parser of formulas."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    left.plot([1, 2], label="$x_t^2$")
    left.set(xlabel="step $t$", title="title", yscale="log")
    left.legend()
    figure.colorbar(right.imshow([[0, 1], [2, 3]]))
    figure.savefig(io.BytesIO(), format="png", bbox_inches="tight")
    plt.close("all")


def main() -> None:
    """Import, then serve. The arguments are two descriptors: a listening socket, and a pipe that its owner holds."""
    listener, owner = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    warm_up()
    serve(listener, owner)


if __name__ == "__main__":
    main()
