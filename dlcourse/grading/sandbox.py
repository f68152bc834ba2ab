"""The walls around a kernel: bubblewrap with no network and a view of the system that holds nothing of the course."""

from __future__ import annotations

import os
import shutil
import site
import sys
from pathlib import Path

import dlcourse
from dlcourse.errors import CourseError

INSTALL = (
    "Install it with `sudo apt-get install bubblewrap` (Debian, Ubuntu) or `sudo dnf install bubblewrap` (Fedora)."
)


def require() -> str:
    """Return the path of bubblewrap.

    Raises:
        CourseError: it is not installed; grading then refuses to run a submission.
    """
    found = shutil.which("bwrap")
    if found is None:
        raise CourseError(
            "Submissions run only inside a sandbox, and bubblewrap is not installed. "
            f"{INSTALL} To run them unprotected, on your own responsibility: `--sandbox none`."
        )
    return found


def wrap(command: list[str], scratch: Path) -> list[str]:
    """Return ``command`` run by bubblewrap: all namespaces new, the system read-only, ``scratch`` alone writable.

    Visible are the system's libraries and this Python with its packages, ``dlcourse`` among them. Home, the course
    directory, other processes and the network are not.
    """
    arguments = [
        require(),
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--hostname",
        "grader",
    ]
    arguments += ["--unsetenv", "JPY_PARENT_PID"]  # the kernel would look for a process that it cannot see
    for path in (
        "/usr",
        "/lib",
        "/lib64",
        "/bin",
        "/sbin",
        "/etc/ld.so.cache",
        "/etc/fonts",
        "/etc/ssl",
        "/etc/passwd",
    ):
        arguments += ["--ro-bind-try", path, path]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    package = Path(dlcourse.__file__).resolve().parent
    for visible in _outermost(
        [sys.prefix, sys.base_prefix, *site.getsitepackages(), os.path.realpath(sys.executable), package]
    ):
        arguments += ["--ro-bind", str(visible), str(visible)]
    return [*arguments, "--bind", str(scratch), str(scratch), "--chdir", str(scratch), "--", *command]


def _outermost(paths: list[str | Path]) -> list[Path]:
    """Drop what lies under /usr, which is bound already, or inside another path; keep symlinked names too."""
    kept: list[Path] = []
    for path in sorted({Path(p) for p in paths} | {Path(p).resolve() for p in paths}, key=lambda p: len(p.parts)):
        if path.exists() and not any(path.is_relative_to(other) for other in [Path("/usr"), *kept]):
            kept.append(path)
    return kept
