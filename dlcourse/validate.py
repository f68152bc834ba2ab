"""``course check``: what a learner should mend before handing in, found on the learner's own machine."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode
from nbgrader import utils

from dlcourse.errors import CourseError
from dlcourse.feedback.cells import show_cells
from dlcourse.grading.key import is_test, statements_of
from dlcourse.grading.run import rehearse
from dlcourse.handin.cells import read_notebook

CELL_SECONDS, NOTEBOOK_SECONDS = 300.0, 1200.0  # patient: a learner's machine may be slow


@dataclass
class Answered:
    """One graded cell: ``open`` while it holds the release's text, otherwise the problems that its checks found."""

    grade_id: str
    question: str
    points: float
    by_hand: bool
    open: bool = False
    problems: list[str] = field(default_factory=list)


@dataclass
class Validation:
    """The state of a notebook: its graded cells and what was changed that must not be."""

    answers: list[Answered]
    changed: list[str]
    stored: NotebookNode  # as the file has it
    ran: NotebookNode  # the same notebook with the outputs of this run

    @property
    def in_order(self) -> bool:
        return not self.changed and not any(answer.problems or answer.open for answer in self.answers)


def validate(path: Path) -> Validation:
    """Run a notebook from top to bottom in a fresh kernel and report on each graded cell.

    The visible checks alone can be run here: grading also uses hidden ones.

    Raises:
        CourseError: the file is no notebook, or none of this course.
    """
    notebook = read_notebook(path)
    stored = copy.deepcopy(notebook)
    graded = [cell for cell in notebook.cells if utils.is_grade(cell)]
    if not graded:
        raise CourseError(f"{path} has no graded cells: it is no assignment of this course, or its metadata was lost")
    doubled = {
        c.metadata.nbgrader.grade_id
        for c in graded
        if sum(o.metadata.nbgrader.grade_id == c.metadata.nbgrader.grade_id for o in graded) > 1
    }
    if doubled:
        raise CourseError(f"{path}: these graded cells exist twice, delete the copies: {', '.join(sorted(doubled))}")
    changed = [_name(cell) for cell in notebook.cells if utils.is_locked(cell) and _edited(cell)]
    ran = rehearse(notebook, statements_of(notebook), path.resolve().parent, CELL_SECONDS, NOTEBOOK_SECONDS).cells
    questions = {shown.grade_id: shown.question for shown in show_cells(notebook) if shown.graded}
    answers = []
    for cell in graded:
        name = _name(cell)
        answer = Answered(name, questions[name], float(cell.metadata.nbgrader.points), by_hand=not is_test(cell))
        if is_test(cell):
            why = [failure.why.removeprefix("CheckFailed: ") for failure in ran[name].failures]
            answer.problems = list(dict.fromkeys(why))
        else:
            answer.open = not _edited(cell)
        answers.append(answer)
    return Validation(answers, changed, stored, notebook)


def _name(cell: NotebookNode) -> str:
    return str(cell.metadata.nbgrader.grade_id)


def _edited(cell: NotebookNode) -> bool:
    checksum = cell.metadata.nbgrader.get("checksum")
    return checksum is not None and checksum != utils.compute_checksum(cell)
