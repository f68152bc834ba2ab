"""A class with attackers among honest students, graded once for a whole file of tests."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from dlcourse.course import Course
from dlcourse.grading.grade import grade
from dlcourse.grading.report import Result

HONEST = ("a_honest", "m_honest", "z_honest")  # graded first, in the middle and last


class Classroom:
    """The tiny course with whoever is put into it."""

    def __init__(self, built: Path, root: Path, solutions: dict[str, str]) -> None:
        shutil.copytree(built, root)
        self.course, self._solutions = Course(root), solutions
        self._release = nbformat.read(self.course.path("release", "tiny") / "sums.ipynb", as_version=4)
        self.results: dict[str, Result] = {}
        self.failed: dict[str, str] = {}
        for student in HONEST:
            self.hand_in(student)

    def folder(self, student: str) -> Path:
        return self.course.path("submitted", "tiny", student)

    def hand_in(self, student: str, *own: str, **answers: str) -> NotebookNode:
        """Hand in a solved notebook, some answers replaced, with cells of the student's own after the setup."""
        notebook = copy.deepcopy(self._release)
        for cell in notebook.cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            cell.source = answers.get(grade_id, self._solutions.get(grade_id, cell.source))
        after = 1 + [cell.id for cell in notebook.cells].index("setup")
        notebook.cells[after:after] = [new_code_cell(text) for text in own]
        self.folder(student).mkdir(parents=True, exist_ok=True)
        self.write(student, notebook)
        return notebook

    def write(self, student: str, notebook: NotebookNode) -> None:
        nbformat.write(notebook, self.folder(student) / "sums.ipynb")

    def grade(self, workers: int = 2, **limits: Any) -> None:
        for name, value in limits.items():
            setattr(self.course.config.Run, name, value)
        graded = grade(self.course, "tiny", sandboxed="bubblewrap", workers=workers)
        self.results, self.failed = {one.student: one for one in graded.submissions}, graded.failed

    def verdict(self, student: str) -> tuple[float | None, str | None]:
        """Score and cause."""
        assert student in self.results, self.failed.get(student)
        return self.results[student].score, self.results[student].cause

    def printed(self, student: str) -> str:
        """All text that the notebook of a student printed or raised."""
        path = self.course.path("autograded", "tiny", student) / "sums.ipynb"
        outputs = [o for cell in nbformat.read(path, as_version=4).cells for o in cell.get("outputs", [])]
        return "".join(o.get("text", "") or str(o.get("evalue", "")) for o in outputs)


@pytest.fixture(scope="module")
def classroom(
    built: Path, tiny_solutions: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Classroom]:
    """Make a classroom."""
    return lambda: Classroom(built, tmp_path_factory.mktemp("class") / "s3cret-course", tiny_solutions)
