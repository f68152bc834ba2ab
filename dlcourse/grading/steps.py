"""The steps of grading as nbgrader preprocessors: ``nbgrader autograde`` and ``course grade`` take the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Enum, Integer

from dlcourse.course import Course
from dlcourse.grading import job, sandbox
from dlcourse.grading.key import AnswerKey, is_test
from dlcourse.grading.limits import DEFAULT, MIB, Limits
from dlcourse.grading.scratch import pack
from dlcourse.grading.verdict import judge_notebook
from dlcourse.sample import is_shipped


class Run(NbGraderPreprocessor):
    """Execute the notebook in a sandboxed kernel, and judge what it emitted."""

    sandbox = Enum(
        ["auto", "bubblewrap", "none"],
        "auto",
        help="Where code of a submission runs. auto: inside bubblewrap, except the sample class that ships with the "
        "course; none: unprotected, for notebooks that you trust.",
    ).tag(config=True)
    cell_seconds = Integer(20, help="Limit for one cell, in seconds.").tag(config=True)
    notebook_seconds = Integer(120, help="Limit for one notebook, in seconds.").tag(config=True)
    memory_mib = Integer(
        DEFAULT.memory // MIB, help="Memory of one submission beyond the imported packages, in MiB."
    ).tag(config=True)
    disk_mib = Integer(DEFAULT.disk // MIB, help="Files that one submission may write, in MiB.").tag(config=True)
    processes = Integer(DEFAULT.processes, help="Processes and threads of one submission.").tag(config=True)
    open_files = Integer(DEFAULT.open_files, help="Open files of one process.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        named, converter = resources["nbgrader"], self.parent.parent
        if named["notebook"] in getattr(converter, "judged", {}):  # by a worker, from which the exporter took it
            return nb, resources
        course = Course(Path(converter.coursedir.root))
        key = AnswerKey.load(course, named["assignment"], named["notebook"])
        submission = course.path("submitted", named["assignment"], named["student"]) / f"{named['notebook']}.ipynb"
        files = pack(course.path("autograded", named["assignment"], named["student"]))
        ran = job.execute(nb, key, files, self.settings([submission]))
        judge_notebook(nb, key, ran)
        return nb, resources

    def settings(self, submissions: list[Path]) -> job.Settings:
        """How these submissions are to be run.

        Raises:
            CourseError: they need a sandbox, and there is none.
        """
        limits = Limits(self.memory_mib * MIB, self.disk_mib * MIB, self.processes, self.open_files)
        return job.Settings(self._sandboxed(submissions), self.cell_seconds, self.notebook_seconds, limits)

    def _sandboxed(self, submissions: list[Path]) -> bool:
        if self.sandbox == "none":
            self.log.warning("%s runs without a sandbox", submissions[0])
            return False
        if self.sandbox == "auto" and all(is_shipped(path) for path in submissions):
            return False
        sandbox.require()
        return True


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
