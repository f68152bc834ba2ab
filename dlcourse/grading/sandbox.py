"""The walls around a kernel: bubblewrap with no network and a view of the system that holds nothing of the course."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import re
import shutil
import signal
import site
import subprocess
import sys
from collections import Counter
from pathlib import Path

import dlcourse
from dlcourse.errors import CourseError
from dlcourse.grading import seccomp
from dlcourse.grading.limits import MIB, Breach, Limits

INSTALL = (
    "Install it with `sudo apt-get install bubblewrap` (Debian, Ubuntu) or `sudo dnf install bubblewrap` (Fedora)."
)
OLDEST = (0, 8)  # the first with --disable-userns
FOLDER = "/scratch"  # where a submission works
NOBODY = 65534  # who a submission is where the grader is root
_OWNED = ("ipc", "uts", "net", "cgroup", "pid", "mnt")  # namespaces that belong to the sandbox's outer user namespace
_NS_GET_PARENT = 0xB702  # ioctl on a user namespace
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/fonts", "/etc/ssl", "/etc/passwd")


def require() -> str:
    """Return the path of bubblewrap.

    Raises:
        CourseError: it is missing or too old; grading then refuses to run a submission.
    """
    unprotected = "To run them unprotected, on your own responsibility: `--sandbox none`."
    found = shutil.which("bwrap")
    if found is None:
        raise CourseError(
            f"Submissions run only inside a sandbox, and bubblewrap is not installed. {INSTALL} {unprotected}"
        )
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = tuple(int(number) for number in re.findall(r"\d+", said)[:2])
    if version < OLDEST:
        raise CourseError(
            f"Submissions run only inside a sandbox; {found} is {said.strip() or 'of an unknown version'}, and "
            f"{'.'.join(map(str, OLDEST))} or later is needed. {unprotected}"
        )
    if not seccomp.supported():
        raise CourseError(
            f"Submissions run only inside a sandbox, which is made for x86_64 and aarch64; this machine is "
            f"{platform.machine()}. {unprotected}"
        )
    return found


class Sandbox:
    """One sandbox for one submission: made by bubblewrap, joined by a kernel, gone with everything in it.

    bubblewrap runs ``cat`` on a pipe that this process holds: when this process dies, so does the sandbox.

    Where the grader is root the kernel becomes nobody. Without any capability root still owns what is root's: it could
    write to /proc/sys and take /dev/null away from the whole machine.

    Attributes:
        root: its file system, as seen from outside.
        namespaces: to be joined in this order.
        user: who the kernel is to become; None if it stays who it is.

    Raises:
        CourseError: bubblewrap is missing, or this machine does not let it make a sandbox; with what it said.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.user = NOBODY if _is_root() else None
        status, told = os.pipe()
        wait, ready = os.pipe()
        try:
            self._outer = subprocess.Popen(
                _command(require(), limits, told, wait if self.user else None),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[told, wait],
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        finally:
            os.close(told)
            os.close(wait)
        try:
            pid = self._begin(status, ready)
        except (OSError, ValueError) as error:
            self._outer.kill()
            said = self._outer.communicate()[1].decode("utf-8", "replace").strip()
            raise CourseError(
                f"bubblewrap cannot make a sandbox on this machine: {said[-300:] or error}. "
                "docs/security.md says what it needs."
            ) from error
        self._first = os.pidfd_open(pid)  # process 1 of the sandbox; with it everything inside ends
        self.root = Path(f"/proc/{pid}/root")
        users, *owned = (os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("user", *_OWNED))
        if self.user is not None:
            self.namespaces = [users, *owned]
            return
        # With --disable-userns there are two user namespaces, one in the other. The outer one, joined first, brings the
        # right to join the rest; in the inner one no further can be made.
        self.namespaces = [fcntl.ioctl(users, _NS_GET_PARENT), *owned, users]

    def _begin(self, status: int, ready: int) -> int:
        """Wait until the sandbox is complete; return its process 1."""
        assert self._outer.stdin and self._outer.stdout
        with os.fdopen(status, "rb") as file, os.fdopen(ready, "wb", buffering=0) as go_on:
            pid: int = json.loads(file.read())["child-pid"]
            if self.user is not None:
                for kind in ("uid", "gid"):
                    Path(f"/proc/{pid}/{kind}_map").write_text(f"0 0 1\n{self.user} {self.user} 1\n", "ascii")
                go_on.write(b"\n")
            self._outer.stdin.write(b"\n")
            self._outer.stdin.flush()
            if self._outer.stdout.read(1) != b"\n":  # cat answers when everything is there
                raise OSError("it ended without a word")
        return pid

    def end(self) -> None:
        """Kill everything in the sandbox, children that left their session included, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):  # the submission may have ended it
            signal.pidfd_send_signal(self._first, signal.SIGKILL)
        self._outer.communicate()
        for fd in (self._first, *self.namespaces):
            os.close(fd)

    def breach(self, shared: int) -> Breach | None:
        """Say which limit the submission has crossed, if any.

        Args:
            shared: bytes of memory that its kernel had when it started, and that a process forked from it has too.
        """
        used, count = 0, 0
        try:
            for mount in (FOLDER, "/tmp", "/dev/shm"):
                status = os.statvfs(f"{self.root}{mount}")
                used += (status.f_blocks - status.f_bfree) * status.f_frsize
                count += status.f_files - status.f_ffree
            if count > self.limits.inodes:
                return Breach("memory", f"more than {self.limits.inodes} files")
            processes = [path for path in (self.root / "proc").iterdir() if path.name.isdigit()]
        except OSError:  # it is gone
            return None
        states = [_state(process) for process in processes]
        if sum(state["Threads"] for state in states) > self.limits.processes:
            return Breach("kernel_died", f"more than {self.limits.processes} processes and threads")
        over = self.limits.memory - used
        if sum(max(0, state["RssAnon"] + state["VmSwap"] - shared) for state in states) > over:
            # Forked processes share memory. To see how much takes longer.
            own = [_state(process / "smaps_rollup") for process in processes]
            if sum(state["Pss_Anon"] + state["SwapPss"] for state in own) - shared > over:
                return Breach("memory", f"more than {self.limits.memory // MIB} MiB of memory")
        return None


def _state(process: Path) -> Counter[str]:
    """The numbers of a process's status; sizes in bytes. None of one that has just ended."""
    try:
        lines = (process if process.name == "smaps_rollup" else process / "status").read_text("utf-8", "replace")
    except OSError:
        return Counter()
    found = re.findall(r"^(\w+):\s+(\d+)( kB)?$", lines, re.MULTILINE)
    return Counter({name: int(number) * (1024 if unit else 1) for name, number, unit in found})


def _is_root() -> bool:
    """Whether this process is root and may give a namespace a second user: not in a container that has one alone."""
    if os.geteuid() != 0:
        return False
    maps = [Path(f"/proc/self/{kind}_map").read_text("ascii").split() for kind in ("uid", "gid")]
    known = [[range(int(a), int(a) + int(n)) for a, n in zip(ids[::3], ids[2::3], strict=True)] for ids in maps]
    return all(any(NOBODY in ids for ids in kind) for kind in known)


def _command(bwrap: str, limits: Limits, status: int, wait: int | None) -> list[str]:
    """bubblewrap with all namespaces new, the system read-only, and three folders of limited size to write to.

    Visible are the system's libraries and this Python with its packages, ``dlcourse`` among them. Home, the course
    directory, other processes and the network are not.

    Args:
        status: where it says which process it has made.
        wait: where it waits until this process has set the users of its namespace; None if it is to set them itself.
    """
    command = [bwrap, "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]
    command += ["--cap-drop", "ALL", "--hostname", "grader", "--info-fd", str(status)]
    command += ["--disable-userns"] if wait is None else ["--userns-block-fd", str(wait)]
    command += ["--perms", "0755", "--dir", "/etc"]  # bubblewrap would make a folder for its owner alone
    for path in SYSTEM:
        command += ["--ro-bind-try", path, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    command += ["--dev-bind", "/dev/full", "/dev/zero"]  # reads the same; memory mapped from it would be uncounted
    for path, size in ((FOLDER, limits.disk), ("/tmp", limits.disk // 4), ("/dev/shm", limits.disk // 4)):
        command += ["--perms", "1777", "--size", str(size), "--tmpfs", path]
    package = Path(dlcourse.__file__).resolve().parent
    for visible in _outermost(
        [sys.prefix, sys.base_prefix, *site.getsitepackages(), os.path.realpath(sys.executable), package]
    ):
        if wait is not None and visible.stat().st_mode & 0o005 != 0o005:
            raise CourseError(
                f"Where the grader is root, submissions run as nobody, who cannot read {visible}. "
                f"Run `chmod -R o+rX {visible}`, or grade as another user."
            )
        for folder in reversed(visible.parents[:-1]):
            command += ["--perms", "0755", "--dir", str(folder)]
        command += ["--ro-bind", str(visible), str(visible)]
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", FOLDER, "--", "cat"]


def _outermost(paths: list[str | Path]) -> list[Path]:
    """Drop what lies under /usr, which is bound already, or inside another path; keep symlinked names too."""
    kept: list[Path] = []
    for path in sorted({Path(p) for p in paths} | {Path(p).resolve() for p in paths}, key=lambda p: len(p.parts)):
        if path.exists() and not any(path.is_relative_to(other) for other in [Path("/usr"), *kept]):
            kept.append(path)
    return kept
