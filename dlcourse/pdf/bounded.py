"""A PDF made by a process of its own, within limits of time and memory: a notebook may come from anybody."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcourse.errors import CourseError
from dlcourse.pdf.pages import PageMap

OUT_OF_MEMORY = 71  # exit status of the worker


@dataclass(frozen=True)
class Limits:
    """What one PDF may cost: seconds on the clock, and MiB of address space (not limited on Windows)."""

    seconds: float = 60.0
    memory: int = 2048


@dataclass
class Report:
    """What came of a PDF.

    Attributes:
        warnings: everything that the PDF does not show as the notebook has it.
        pages: question title → first and last page.
        lengths: of every section, in pages and parts of pages.
    """

    warnings: list[str] = field(default_factory=list)
    pages: PageMap = field(default_factory=dict)
    lengths: dict[str, float] = field(default_factory=dict)


def notebook_to_pdf(
    path: Path,
    output: Path,
    *,
    name: str = "",
    course: str = "",
    assignment: str = "",
    pages: str | Mapping[str, int] = "natural",
    system_fonts: bool = True,
    limits: Limits = Limits(),  # it is frozen
) -> Report:
    """Write the PDF of the notebook at `path` to `output`, all of it or nothing.

    Args:
        path: a notebook.
        output: the PDF file.
        name: the student's name, for the header.
        course: the course's name, for the header; default: the one that the release carries.
        assignment: its name, for the header; default: the one that the release carries.
        pages: "natural", every question as long as it is; "template", the pages that the notebook's own template
            allots; or a template, title → number of pages.
        system_fonts: whether the machine's fonts may show characters that the shipped ones lack. Without, every
            machine makes the same bytes.
        limits: of time and memory.

    Raises:
        CourseError: the file is no notebook, it carries no template although it should, or a limit was reached.
    """
    options = {"name": name, "course": course, "assignment": assignment, "system_fonts": system_fonts}
    return _make(Path(path), Path(output), Path(path).parent, pages, limits, options)


def node_to_pdf(
    notebook: Mapping[str, Any],
    folder: Path | None,
    title: str,
    *,
    pages: str | Mapping[str, int] = "natural",
    limits: Limits = Limits(),
    **options: Any,
) -> tuple[bytes, Report]:
    """The PDF of a notebook in memory, with the options of `notebook_to_pdf`.

    Args:
        notebook: of format 4.
        folder: where relative image paths begin, and which no image may leave; None allows no image files.
        title: of a notebook that has none.
    """
    with tempfile.TemporaryDirectory(prefix="notebook-pdf-") as scratch:
        path, output = Path(scratch) / "notebook.ipynb", Path(scratch) / "notebook.pdf"
        path.write_text(json.dumps(notebook, default=str), "utf-8")
        report = _make(path, output, folder, pages, limits, {"title": title, **options})
        return output.read_bytes(), report


def _make(
    path: Path,
    output: Path,
    folder: Path | None,
    pages: str | Mapping[str, int],
    limits: Limits,
    options: Mapping[str, Any],
) -> Report:
    job = {
        "notebook": str(path.resolve()),
        "folder": str(folder.resolve()) if folder is not None else None,
        "title": path.stem,
        "pages": pages if isinstance(pages, str) else dict(pages),
        "memory": limits.memory,
        "seconds": limits.seconds,
        **options,
    }
    with tempfile.TemporaryDirectory(prefix="notebook-pdf-") as scratch:
        report = _printed(job, scratch, limits, str(path))
        write_whole(output, (Path(scratch) / "out.pdf").read_bytes())
    return report


def _printed(job: dict[str, Any], scratch: str, limits: Limits, shown: str) -> Report:
    """Run the worker in `scratch` and read what it says."""
    command = [sys.executable, "-P", "-m", "dlcourse.pdf.worker"]  # -P: nothing is imported from where it runs
    worker = subprocess.Popen(
        command, cwd=scratch, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with worker:
        try:
            said, complained = worker.communicate(json.dumps(job).encode(), timeout=limits.seconds)
        except subprocess.TimeoutExpired:
            worker.kill()
            said, complained = worker.communicate()
            raise CourseError(_too_much(shown, f"takes longer than {limits.seconds:g} seconds", said)) from None
        except BaseException:
            worker.kill()
            raise
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.startswith("{")]
    answer = json.loads(lines[-1]) if worker.returncode == 0 and lines else {}
    if "error" in answer:
        raise CourseError(f"{shown} {answer['error']}")
    if answer.get("warnings") is not None:
        pages = {title: (first, last) for title, (first, last) in answer["pages"].items()}
        return Report(answer["warnings"], pages, answer["lengths"])
    words = complained.decode("utf-8", "replace").strip().splitlines()
    if worker.returncode == OUT_OF_MEMORY or "memory allocation" in " ".join(words):
        raise CourseError(_too_much(shown, f"needs more than {limits.memory} MiB of memory", said))
    raise CourseError(_too_much(shown, f"could not be made ({words[-1][:200] if words else worker.returncode})", said))


def _too_much(shown: str, what: str, said: bytes) -> str:
    """The message of a limit, with the cells that are largest."""
    first = said.decode("utf-8", "replace").partition("\n")[0]
    try:
        heavy = json.loads(first)["heavy"]
    except (ValueError, KeyError, TypeError):
        heavy = ""
    return f"{shown}: its PDF {what}. Print less, or clear large outputs. {heavy}".rstrip()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file at once, so that a full disk leaves the old one."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
