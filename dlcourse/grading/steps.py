"""The steps of grading as nbgrader preprocessors: ``nbgrader autograde`` and ``course grade`` take the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Enum, Integer

from dlcourse.course import Course
from dlcourse.grading import run, sandbox
from dlcourse.grading.key import AnswerKey, is_test
from dlcourse.grading.verdict import judge_notebook
from dlcourse.sample import is_shipped

_TRANSCRIPT, _KEY = "dlcourse_transcript", "dlcourse_key"


class Run(NbGraderPreprocessor):
    """Execute the notebook in a sandboxed kernel."""

    sandbox = Enum(
        ["auto", "bubblewrap", "none"],
        "auto",
        help="Where code of a submission runs. auto: inside bubblewrap, except the sample class that ships with the "
        "course; none: unprotected, for notebooks that you trust.",
    ).tag(config=True)
    cell_seconds = Integer(20, help="Limit for one cell, in seconds.").tag(config=True)
    notebook_seconds = Integer(120, help="Limit for one notebook, in seconds.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        named = resources["nbgrader"]
        course = Course(Path(self.parent.parent.coursedir.root))
        key = AnswerKey.load(course, named["assignment"], named["notebook"])
        resources[_KEY] = key
        about = nb.metadata.setdefault("dlcourse", nbformat.from_dict({"cause": None, "message": "", "repairs": []}))
        if about.cause:  # nothing to run
            resources[_TRANSCRIPT] = run.Transcript()
            return nb, resources
        submission = course.path("submitted", named["assignment"], named["student"]) / f"{named['notebook']}.ipynb"
        resources[_TRANSCRIPT] = run.execute(
            nb,
            key.statements,
            sandboxed=self._sandboxed(submission),
            files=course.path("autograded", named["assignment"], named["student"]),
            cell_seconds=self.cell_seconds,
            notebook_seconds=self.notebook_seconds,
        )
        return nb, resources

    def _sandboxed(self, submission: Path) -> bool:
        if self.sandbox == "none":
            self.log.warning("%s runs without a sandbox", submission)
            return False
        if self.sandbox == "auto" and is_shipped(submission):
            return False
        sandbox.require()
        return True


class Judge(NbGraderPreprocessor):
    """Compare what was emitted with the references and write the verdicts into the notebook."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        key: AnswerKey = resources[_KEY]
        transcript: run.Transcript = resources[_TRANSCRIPT]
        judge_notebook(nb, key, transcript)
        return nb, resources


class Record(SaveAutoGrades):
    """Save the judge's points in the gradebook; answers in words are left to nbgrader's manual grading."""

    def _add_score(self, cell: NotebookNode, resources: ResourcesDict) -> None:
        if not is_test(cell):
            super()._add_score(cell, resources)
            return
        grade_id = cell.metadata.nbgrader.grade_id
        grade = self.gradebook.find_grade(grade_id, self.notebook_id, self.assignment_id, self.student_id)
        grade.auto_score = cell.metadata.dlcourse.score
        grade.needs_manual_grade = grade.manual_score is not None
        self.gradebook.db.commit()


def verdicts(nb: NotebookNode) -> list[dict[str, Any]]:
    """Every graded cell of an autograded notebook: grade_id, and for those that the judge scored, its verdict."""
    return [
        {"grade_id": cell.metadata.nbgrader.grade_id, **cell.metadata.get("dlcourse", {})}
        for cell in nb.cells
        if utils.is_grade(cell)
    ]
