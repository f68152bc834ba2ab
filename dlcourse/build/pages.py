"""How many pages every question gets: measured from the solution, carried by the release."""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from dlcourse.errors import CourseError
from dlcourse.pdf.bounded import node_to_pdf
from dlcourse.pdf.pages import allotted, template_in


def page_template(source: NotebookNode, executed: NotebookNode, release: NotebookNode, folder: Path) -> dict[str, int]:
    """The page template of a notebook: question title → pages.

    Args:
        source: with the author's own wishes in ``metadata.dlcourse.pages``, if any.
        executed: the source with its outputs.
        release: what learners get.
        folder: of the source, for its pictures.

    Raises:
        CourseError: the author's wishes are not numbers of pages, or name a question that there is not.
    """
    wanted = source.metadata.get("dlcourse", {}).get("pages", {})
    if template_in(source) != wanted:
        raise CourseError('metadata.dlcourse.pages must be numbers of pages by question, such as {"Question 3": 4}')
    _, report = node_to_pdf(solved(source, executed, release), folder, "solution", system_fonts=False)
    return allotted(report.lengths, wanted)


def solved(source: NotebookNode, executed: NotebookNode, release: NotebookNode) -> NotebookNode:
    """The release as a perfect learner hands it in: answers of the solution, outputs, no hidden tests."""
    notebook = copy.deepcopy(release)
    sources = {cell.id: cell for cell in source.cells}
    outputs = {cell.id: cell.get("outputs", []) for cell in executed.cells}
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.id in sources:
            lines = sources[cell.id].source.split("\n")
            cell.source = "\n".join(line for line in lines if not line.strip().startswith("### "))
        if cell.cell_type == "code":
            cell.outputs = outputs.get(cell.id, [])
    return notebook


def carry(path: Path, course: str, assignment: str, template: dict[str, int]) -> None:
    """Put course, assignment and page template into the metadata of a released notebook."""
    release = nbformat.read(path, as_version=4)
    release.metadata["dlcourse"] = {
        **release.metadata.get("dlcourse", {}),
        "course": course,
        "assignment": assignment,
        "pages": template,
    }
    temporary = path.with_name(path.name + ".part")
    nbformat.write(release, temporary)
    temporary.replace(path)
