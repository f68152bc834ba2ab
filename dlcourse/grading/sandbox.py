"""The walls around a kernel: bubblewrap with no network and a view of the system that holds nothing of the course."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import site
import subprocess
import sys
from pathlib import Path

import dlcourse
from dlcourse.errors import CourseError
from dlcourse.grading.limits import MIB, Breach, Limits

INSTALL = (
    "Install it with `sudo apt-get install bubblewrap` (Debian, Ubuntu) or `sudo dnf install bubblewrap` (Fedora)."
)
OLDEST = (0, 8)  # the first with --disable-userns
FOLDER = "/scratch"  # where a submission works
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
    return found


class Sandbox:
    """One sandbox for one submission: made by bubblewrap, joined by a kernel, gone with everything in it.

    bubblewrap runs ``cat`` on a pipe that this process holds: when this process dies, so does the sandbox.

    Raises:
        CourseError: bubblewrap is missing, or this machine does not let it make a sandbox; with what it said.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        status, told = os.pipe()
        try:
            self._outer = subprocess.Popen(
                _command(require(), limits, told),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[told],
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        finally:
            os.close(told)
        assert self._outer.stdin and self._outer.stdout and self._outer.stderr
        with os.fdopen(status, "rb") as file:
            self._outer.stdin.write(b"\n")
            self._outer.stdin.flush()
            if self._outer.stdout.read(1) != b"\n":  # cat runs: the sandbox is complete
                self._outer.kill()
                said = self._outer.communicate()[1].decode("utf-8", "replace").strip()
                raise CourseError(
                    f"bubblewrap cannot make a sandbox on this machine: {said[-300:] or 'it ended without a word'}. "
                    "docs/security.md says what it needs."
                )
            pid = json.loads(file.readline())["child-pid"]
        self._first = os.pidfd_open(pid)  # process 1 of the sandbox; with it everything inside ends
        self._root = Path(f"/proc/{pid}/root")
        # With --disable-userns there are two user namespaces, one in the other. The outer one, joined first, brings the
        # right to join the rest; in the inner one no further can be made.
        inner, *owned = (os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("user", *_OWNED))
        self.namespaces = [fcntl.ioctl(inner, _NS_GET_PARENT), *owned, inner]

    def end(self) -> None:
        """Kill everything in the sandbox, children that left their session included, and wait until it is gone."""
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
                status = os.statvfs(f"{self._root}{mount}")
                used += (status.f_blocks - status.f_bfree) * status.f_frsize
                count += status.f_files - status.f_ffree
            if count > self.limits.inodes:
                return Breach("memory", f"more than {self.limits.inodes} files")
            processes = [path for path in (self._root / "proc").iterdir() if path.name.isdigit()]
        except OSError:  # it is gone
            return None
        if len(processes) > self.limits.processes:
            return Breach("kernel_died", f"more than {self.limits.processes} processes")
        for process in processes:
            try:
                _, resident, mapped = map(int, (process / "statm").read_text().split()[:3])
            except (OSError, ValueError):  # this one has just ended
                continue
            used += max(0, (resident - mapped) * os.sysconf("SC_PAGE_SIZE") - shared)
        if used > self.limits.memory:
            return Breach("memory", f"more than {self.limits.memory // MIB} MiB of memory")
        return None


def _command(bwrap: str, limits: Limits, status: int) -> list[str]:
    """bubblewrap with all namespaces new, the system read-only, and three folders of limited size to write to.

    Visible are the system's libraries and this Python with its packages, ``dlcourse`` among them. Home, the course
    directory, other processes and the network are not.
    """
    command = [bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    command += ["--cap-drop", "ALL", "--hostname", "grader", "--json-status-fd", str(status)]
    for path in SYSTEM:
        command += ["--ro-bind-try", path, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    package = Path(dlcourse.__file__).resolve().parent
    for visible in _outermost(
        [sys.prefix, sys.base_prefix, *site.getsitepackages(), os.path.realpath(sys.executable), package]
    ):
        command += ["--ro-bind", str(visible), str(visible)]
    for path, size in ((FOLDER, limits.disk), ("/tmp", limits.disk // 4), ("/dev/shm", limits.disk // 4)):
        command += ["--size", str(size), "--tmpfs", path]
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", FOLDER, "--", "cat"]


def _outermost(paths: list[str | Path]) -> list[Path]:
    """Drop what lies under /usr, which is bound already, or inside another path; keep symlinked names too."""
    kept: list[Path] = []
    for path in sorted({Path(p) for p in paths} | {Path(p).resolve() for p in paths}, key=lambda p: len(p.parts)):
        if path.exists() and not any(path.is_relative_to(other) for other in [Path("/usr"), *kept]):
            kept.append(path)
    return kept
