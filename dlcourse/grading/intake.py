"""Take a submission in: read it, which never fails for what it holds, and align it with the release.

What comes out has every graded and locked cell of the release in its order, with the release's metadata, the learner's
text in the solution cells, and the learner's own cells where they stood. Every repair is written down.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor

from dlcourse.grading.align import align
from dlcourse.grading.reading import Unreadable, parse, read_cells


def blank(release: NotebookNode, cause: str, message: str) -> NotebookNode:
    """The release itself in the place of a submission that cannot be graded, with the cause."""
    notebook, _ = align([], release)
    notebook.metadata["dlcourse"] = {**_carried(release), "cause": cause, "message": message, "repairs": []}
    return notebook


def _carried(release: NotebookNode) -> dict[str, Any]:
    """What the release says of itself for the PDF: course, assignment and the pages of every question."""
    about = release.metadata.get("dlcourse", {})
    return {name: about[name] for name in ("course", "assignment", "pages") if name in about}


def take_in(submission: Path | bytes, release: NotebookNode) -> NotebookNode:
    """Read and align a submission, a file or what it holds.

    Never raises for what a submission holds: what cannot be read becomes blank.
    """
    try:
        cells, repairs = parse(submission) if isinstance(submission, bytes) else read_cells(submission)
    except Unreadable as error:
        return blank(release, "unreadable", str(error))
    notebook, more = align(cells, release)
    notebook.metadata["dlcourse"] = {**_carried(release), "cause": None, "message": "", "repairs": repairs + more}
    return notebook


class Intake(NbGraderPreprocessor):
    """nbgrader's sanitizing step. The work is done while the file is read; this holds that it was."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        if "dlcourse" not in nb.metadata:
            raise RuntimeError("set c.Autograde.exporter_class = 'dlcourse.grading.exporter.SubmissionExporter'")
        return nb, resources
