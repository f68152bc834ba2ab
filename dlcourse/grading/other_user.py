"""Walls for a kernel where bubblewrap cannot stand: in a container that gives root but no namespaces.

The kernel runs as another user, who owns nothing but its scratch folder. It cannot gain rights, has no network, and
whatever of that user is left afterwards is ended. What it must not read is readable by root alone.

As a script, with the standard library only: ``python other_user.py UID COMMAND…`` gives up root and becomes COMMAND.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MAX_PROCESSES = 512  # of the user, threads included
MAX_FILE = 512 * 2**20  # bytes
_PDEATHSIG, _NO_NEW_PRIVS, _SECCOMP, _FILTER = 1, 38, 22, 2
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # audit architecture, number of socket()
_IO_URING_SETUP, _X32 = 425, 0x40000000
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE = 0x00050000 | errno.EOPNOTSUPP  # an answer that ZeroMQ copes with: kernels also open a socket to themselves


def wrap(command: list[str], user: int) -> list[str]:
    """Return ``command`` run by the user with this number; whoever runs it must be root."""
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(user), *command]


def hand_over(folder: Path, user: int) -> None:
    """Give a folder's content to the user. The folder stays root's, so that it cannot be moved or replaced."""
    for base, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            os.chown(Path(base) / name, user, user, follow_symlinks=False)
    os.chown(folder, 0, user)
    folder.chmod(0o1770)


@contextlib.contextmanager
def ended(user: int) -> Iterator[None]:
    """Leave no process of the user behind."""
    try:
        yield
    finally:
        end_all(user)


def end_all(user: int) -> None:
    """End every process of the user, also those that start others while they are being ended."""
    for _ in range(100):
        # -1 is every process that this user may signal: its own, and all of them at once
        subprocess.run(["/bin/sh", "-c", "kill -9 -1"], user=user, group=user, extra_groups=[], check=False)
        if not _processes(user):
            return
        time.sleep(0.05)
    raise RuntimeError(f"processes of user {user} cannot be ended")


def _processes(user: int) -> list[int]:
    """Processes of the user that still run; one that ended and waits for its parent does not count."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry.stat().st_uid == user and (entry / "stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z":
                found.append(int(entry.name))
    return found


def confine(user: int) -> None:
    """Become the user for good: no rights to gain, no network, bounded processes and files."""
    with contextlib.suppress(OSError):  # where memory runs out, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000", "utf-8")
    resource.setrlimit(resource.RLIMIT_NPROC, (MAX_PROCESSES, MAX_PROCESSES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, MAX_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    become(user)
    libc = ctypes.CDLL(None, use_errno=True)
    _prctl(libc, _PDEATHSIG, signal.SIGKILL)
    _prctl(libc, _NO_NEW_PRIVS, 1)
    _without_network(libc)


def become(user: int) -> None:
    """Take on the user's number and no group but its own.

    Raises:
        PermissionError: this process is neither root nor that user, or that user is root.
    """
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if os.geteuid() != user or user == 0:
        raise PermissionError(f"cannot become user {user}")


def _without_network(libc: ctypes.CDLL) -> None:
    """Refuse every socket that is not local to the machine, and the calls that could make one by another way."""
    machine = platform.machine()
    if machine not in _MACHINES:
        raise OSError(f"no system call filter is known for {machine}")
    architecture, socket = _MACHINES[machine]
    load, equal, at_least, done = 0x20, 0x15, 0x35, 0x06
    steps = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (done, 0, 0, _KILL),
        (load, 0, 0, 0),
        (at_least, 5, 0, _X32),
        (equal, 4, 0, _IO_URING_SETUP),
        (equal, 0, 2, socket),
        (load, 0, 0, 16),  # its first argument, the address family
        (equal, 0, 1, 1),  # AF_UNIX
        (done, 0, 0, _ALLOW),
        (done, 0, 0, _REFUSE),
    ]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
    _prctl(libc, _SECCOMP, _FILTER, ctypes.create_string_buffer(header))


def _prctl(libc: ctypes.CDLL, option: int, value: int, pointer: object = 0) -> None:
    if libc.prctl(option, ctypes.c_ulong(value), pointer, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    confine(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
