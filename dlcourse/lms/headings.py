"""The question that each graded cell belongs to: the heading above it."""

from __future__ import annotations

import nbformat
from nbformat import NotebookNode

from dlcourse.course import Course
from dlcourse.feedback.cells import show_cells


def headings(course: Course, assignment: str) -> dict[tuple[str, str], str]:
    """The heading above each graded cell of the release, by notebook and grade_id, in order."""
    return {
        (path.stem, grade_id): title
        for path in sorted(course.path("release", assignment).glob("*.ipynb"))
        for grade_id, title in question_headings(nbformat.read(path, as_version=4)).items()
    }


def question_headings(release: NotebookNode) -> dict[str, str]:
    """The heading above each graded cell of a notebook, by grade_id, in order."""
    return {shown.grade_id: shown.question or shown.grade_id for shown in show_cells(release) if shown.graded}
