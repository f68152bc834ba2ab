"""A wheel of this package from its own installation: whoever has it installed needs no repository and no build."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import metadata
from pathlib import Path

import dlcourse
from dlcourse.errors import CourseError
from dlcourse.zips import zip_bytes

# What only those who grade need. No solution and no reference is ever part of the package.
GRADERS = (
    "audit/",
    "build/",
    "grading/cluster.py",
    "grading/dispatch.py",
    "grading/exporter.py",
    "grading/forkserver.py",
    "grading/grade.py",
    "grading/job.py",
    "grading/judge.py",
    "grading/other_user.py",
    "grading/report.py",
    "grading/reproduce.py",
    "grading/sandbox.py",
    "grading/seccomp.py",
    "grading/steps.py",
    "grading/stream.py",
    "grading/verdict.py",
    "grading/warm.py",
    "grading/workers.py",
    "handin/archive.py",
    "handin/canvas.py",
    "handin/classlist.py",
    "handin/collect.py",
    "handin/downloads.py",
    "handin/folder.py",
    "handin/gradescope.py",
    "handin/roster.py",
    "handin/store.py",
    "handin/unpack.py",
    "lms/",
    "new.py",
    "pdf/batch.py",
    "pdf/blank.py",
    "requirements.lock",
    "sample.json",
    "sample.py",
)
LEARNER = "+learner"  # a local version label: `pip list` and `course --version` tell the parts apart


def requirements() -> list[str]:
    """The ranges of what the package needs, without its extras, as its metadata states them."""
    return sorted(text for text in _distribution().requires or [] if "extra ==" not in text)


def wheel(*, learner: bool) -> tuple[str, bytes]:
    """Make a wheel of the installed package, the same bytes each time.

    Args:
        learner: without the modules that only graders need, under a version that says so.

    Returns:
        Its file name and content.

    Raises:
        CourseError: the package is not installed.
    """
    about = _distribution()
    version = about.version.split("+")[0] + (LEARNER if learner else "")
    folder = f"dlcourse-{version}.dist-info"
    files = {f"dlcourse/{name}": content for name, content in package_files(learner=learner).items()}
    text = re.sub(
        r"^Version: .*$", f"Version: {version}", about.read_text("METADATA") or "", count=1, flags=re.MULTILINE
    )
    files[f"{folder}/METADATA"] = text.encode()
    files[f"{folder}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: dlcourse\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{folder}/entry_points.txt"] = (about.read_text("entry_points.txt") or "").encode()
    if licence := about.read_text("licenses/LICENSE"):
        files[f"{folder}/licenses/LICENSE"] = licence.encode()
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{folder}/RECORD"] = "\n".join([*lines, f"{folder}/RECORD,,", ""]).encode()
    return f"dlcourse-{version}-py3-none-any.whl", zip_bytes(files)


def package_files(*, learner: bool) -> dict[str, bytes]:
    """The package's files by their names, in order."""
    root = Path(dlcourse.__file__).resolve().parent
    files = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(root).parts)
        if path.is_file() and not hidden and not (learner and name.startswith(GRADERS)):
            files[name] = path.read_bytes()
    return files


def _distribution() -> metadata.Distribution:
    try:
        return metadata.distribution("dlcourse")
    except metadata.PackageNotFoundError as error:
        raise CourseError("dlcourse is not installed. In a checkout, run `make setup`.") from error


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
