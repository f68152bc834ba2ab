"""The process that makes one PDF: a job as JSON on stdin, the PDF in the working directory, a report on stdout."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcourse.pdf.bounded import OUT_OF_MEMORY


def _limit(memory: int, seconds: float) -> None:
    """Bound this process, MiB of address space and seconds of processor time; Windows knows no such limits."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in (
        (resource.RLIMIT_AS, memory * 2**20),
        (resource.RLIMIT_CPU, math.ceil(seconds) * 4),  # for an orphan; its parent watches the clock
        (resource.RLIMIT_FSIZE, 512 * 2**20),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # macOS refuses some of them
            continue


def _heavy(cells: list[Any]) -> str:
    """The largest cells, in words."""
    sizes = [(len(json.dumps(cell, default=str)), number) for number, cell in enumerate(cells, start=1)]
    largest = [f"cell {number} ({size / 1000:.0f} kB)" for size, number in sorted(sizes, reverse=True)[:3]]
    return f"The largest: {', '.join(largest)}." if largest else ""


def main() -> None:
    """Do the job that stands on stdin."""
    job = json.loads(sys.stdin.buffer.read())
    _limit(job["memory"], job["seconds"])
    try:
        answer = _answer(job)
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)
    print(json.dumps(answer), flush=True)


def _answer(job: Mapping[str, Any]) -> dict[str, Any]:
    from dlcourse.grading.reading import Unreadable, load, notebook_json
    from dlcourse.pdf.document import Job, print_notebook
    from dlcourse.pdf.pages import template_in

    try:
        notebook, _ = notebook_json(load(Path(job["notebook"])))
    except Unreadable as error:
        return {"error": f"is not a notebook: {error}"}
    print(json.dumps({"heavy": _heavy(notebook["cells"])}), flush=True)
    template = None if job["pages"] == "natural" else job["pages"]
    if template == "template" and not (template := template_in(notebook)):
        return {
            "error": "carries no page template. It comes with the released notebook: was the notebook's metadata lost? "
            "Copy your answers into the released notebook, or make the PDF without --pages."
        }
    printed = print_notebook(
        Job(
            notebook,
            Path(job["folder"]) if job["folder"] is not None else None,
            job["title"],
            job.get("name", ""),
            job.get("course", ""),
            job.get("assignment", ""),
            template,
            job.get("system_fonts", True),
        )
    )
    Path("out.pdf").write_bytes(printed.pdf)
    return {"warnings": printed.warnings, "pages": printed.pages, "lengths": printed.lengths}


if __name__ == "__main__":
    main()
