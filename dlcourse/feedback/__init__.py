"""The feedback page: score per question, checks with how far off, and the learner's executed cells.

The page is made from untrusted input. Text is escaped, markdown is rendered without HTML, outputs are shown as text or
as pictures, and a content security policy forbids scripts and every load from elsewhere.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jinja2
from nbconvert.exporters import Exporter
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import GetGrades

from dlcourse.feedback.cells import show_cells
from dlcourse.feedback.markdown import render

_WORDS = {
    "unreadable": "the file could not be read as a notebook",
    "not_submitted": "no notebook was handed in",
    "memory": "out of memory",
    "timeout": "out of time",
    "kernel_died": "the kernel died",
    "error": "an error was raised",
    "missing": "no answer",
    "wrong": "a wrong value",
}


class Scores(GetGrades):
    """nbgrader's scores in the notebook, with None in the place of its 0 for what waits for manual grading."""

    def _get_score(self, cell: NotebookNode, resources: ResourcesDict) -> None:
        super()._get_score(cell, resources)
        grade = self.gradebook.find_grade(
            cell.metadata.nbgrader.grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        if grade.auto_score is None and grade.manual_score is None:
            cell.metadata.nbgrader.score = None


class FeedbackExporter(Exporter):
    """Renders an autograded notebook, with the gradebook's scores in it, as one self-contained HTML page."""

    def _file_extension_default(self) -> str:
        return ".html"

    output_mimetype = "text/html"

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[Any, Any]:
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        graded = resources.get("nbgrader", {})
        cells = show_cells(nb)
        page = _environment().get_template("page.html.j2")
        html = page.render(
            title=_title(nb) or graded.get("notebook", "Feedback"),
            student=graded.get("student", ""),
            assignment=graded.get("assignment", ""),
            score=graded.get("score"),
            max_score=graded.get("max_score"),
            late_penalty=graded.get("late_penalty", 0),
            about=nb.metadata.get("dlcourse", {}),
            questions=[cell for cell in cells if cell.graded],
            cells=cells,
            words=_WORDS,
        )
        return html, resources


def _title(nb: NotebookNode) -> str:
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.split("\n"):
                if line.startswith("# "):
                    return line[2:].strip()
    return ""


@functools.cache  # the template is compiled once
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["markdown"] = render
    environment.filters["points"] = lambda value: f"{value:.2f}".rstrip("0").rstrip(".")
    return environment
