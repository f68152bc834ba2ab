"""nbgrader preprocessors that make the student's version of a notebook."""

from __future__ import annotations

import re

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions, NbGraderPreprocessor

INSTRUCTOR_TAG = "instructor-only"
_QUESTION = re.compile(r"^## (Question \w+: .*?)(?: \[[^\]]*\])?$", re.MULTILINE)


class DropInstructorCells(NbGraderPreprocessor):
    """Leave out cells tagged ``instructor-only``: rubrics and notes to graders."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        nb.cells = [cell for cell in nb.cells if INSTRUCTOR_TAG not in cell.metadata.get("tags", [])]
        return nb, resources


class NamedStubs(ClearSolutions):
    """Replace solutions by stubs that name their question: ``raise NotImplementedError("Question 3: …")``."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        self._question = "your code here"
        return super().preprocess(nb, resources)

    def preprocess_cell(
        self, cell: NotebookNode, resources: ResourcesDict, cell_index: int
    ) -> tuple[NotebookNode, ResourcesDict]:
        if cell.cell_type == "markdown" and (headings := _QUESTION.findall(cell.source)):
            self._question = headings[-1]
        title = self._question.replace("\\", "").replace('"', "'")
        self.code_stub = {"python": f'# YOUR CODE HERE\nraise NotImplementedError("{title}")'}
        return super().preprocess_cell(cell, resources, cell_index)
