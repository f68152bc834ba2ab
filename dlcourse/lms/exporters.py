"""The exports as nbgrader's plugins: ``nbgrader export --exporter dlcourse.lms.CanvasExporter`` and the like.

Options of nbgrader (``--to``, ``--assignment``, ``--student``) work as for its own CSV exporter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nbgrader.api import Gradebook
from nbgrader.plugins import ExportPlugin
from traitlets import Bool, Dict, List, Unicode

from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.lms import canvas, gradescope, questions
from dlcourse.lms.grades import read_grades
from dlcourse.lms.headings import headings
from dlcourse.lms.roster import Roster

# What the commands of `course export` call these options, in their messages too.
_OPTIONS = {
    "--anyway": "unfinished=True",
    "--column": "columns",
    "--match": "match",
    "--no-scale": "scale=False",
    "--scale": "scale=True",
    "--excuse": "excused",
}


class _Exporter(ExportPlugin):
    unfinished = Bool(False, help="Export although answers wait for grading by hand; they count as 0 points.").tag(
        config=True
    )
    roster = Unicode("", help="CSV file: student_id and the platform's columns that name the student.").tag(config=True)

    def _course(self) -> Course:
        return Course(Path(self.parent.coursedir.root))

    def _assignments(self, gradebook: Gradebook) -> list[str]:
        return [str(one) for one in self.assignment] or questions.graded_assignments(gradebook)

    def _students(self) -> tuple[str, ...]:
        return tuple(str(one) for one in self.student)

    def _roster(self) -> Roster | None:
        return Roster(Path(self.roster)) if self.roster else None

    def export(self, gradebook: Gradebook) -> None:
        """Write the file ``to``; a user's mistake ends the command with its message alone."""
        try:
            for line in self.lines(gradebook):
                self.log.info(line)
        except CourseError as error:
            names = {option: f"--{type(self).__name__}.{trait}" for option, trait in _OPTIONS.items()}
            self.log.error(re.sub("|".join(names), lambda found: names[found.group(0)], str(error)))
            self.parent.exit(1)

    def lines(self, gradebook: Gradebook) -> Iterator[str]:
        """Do the work and yield what is to be reported."""
        raise NotImplementedError


class CanvasExporter(_Exporter):
    """Fill existing columns of the gradebook that Canvas exported (``--CanvasExporter.source=FILE``)."""

    source = Unicode("", help="The gradebook as Canvas exported it, CSV.").tag(config=True)
    columns = Dict(
        help="Canvas's assignment for each of ours, by title or number; without an entry the same name."
    ).tag(config=True)
    match = Unicode("", help="Canvas's column that names the student; default: SIS Login ID.").tag(config=True)
    excused = List(Unicode(), help="Students who are excused.").tag(config=True)
    scale = Bool(None, allow_none=True, help="Convert to Canvas's points (True) or not (False).").tag(config=True)

    def lines(self, gradebook: Gradebook) -> Iterator[str]:
        if not self.source:
            raise CourseError("Name the gradebook that Canvas exported: --CanvasExporter.source=FILE.")
        target = Path(self.to or "canvas.csv")
        if target.exists() and target.samefile(self.source):
            raise CourseError(f"{target} is the file that Canvas exported: name another with --to.")
        book = canvas.CanvasGradebook(Path(self.source))
        wanted = self._students()
        for assignment in self._assignments(gradebook):
            grades = read_grades(gradebook, assignment, unfinished=self.unfinished)
            update = canvas.plan(
                book,
                book.column(self.columns.get(assignment, assignment)),
                [grade for grade in grades if not wanted or grade.student in wanted],
                roster=self._roster(),
                match=self.match or None,
                excused=self.excused,
                scale=self.scale,
            )
            book.sheet = canvas.filled(book, update)
            yield from (
                f"{assignment}: {c.student} ({c.name}): {c.old or 'empty'} → {c.new} {c.note}" for c in update.changes
            )
            yield from (f"{assignment}: {student} kept: {why}" for student, why in update.kept.items())
            yield from (f"{assignment}: only in Canvas: {name}" for name in ([] if wanted else update.only_in_canvas))
            yield from (f"{assignment}: only in the gradebook: {student}" for student in update.only_in_gradebook)
        book.sheet.write(target)
        yield f"Wrote {target}"


class GradescopeExporter(_Exporter):
    """Gradescope's table of one assignment, on top of its own CSV (``--GradescopeExporter.source=FILE``) or without."""

    source = Unicode("", help="A roster or scores that Gradescope wrote, CSV.").tag(config=True)

    def lines(self, gradebook: Gradebook) -> Iterator[str]:
        assignments = self._assignments(gradebook)
        if len(assignments) != 1:
            raise CourseError(
                f"Gradescope's table holds one assignment; name it: --assignment '[\"{assignments[0]}\"]'."
            )
        wanted = self._students()
        grades = read_grades(gradebook, assignments[0], unfinished=self.unfinished)
        made = gradescope.table(
            [grade for grade in grades if not wanted or grade.student in wanted],
            headings(self._course(), assignments[0]),
            Path(self.source) if self.source else None,
            self._roster(),
        )
        target = Path(self.to or "gradescope.csv")
        made.sheet.write(target)
        yield from (f"only in Gradescope: {name}" for name in made.only_in_gradescope)
        yield from (f"only in the gradebook: {student}" for student in made.only_in_gradebook)
        yield f"Wrote {target}"


class QuestionsExporter(_Exporter):
    """One row a question."""

    def lines(self, gradebook: Gradebook) -> Iterator[str]:
        target = Path(self.to or "questions.csv")
        sheet = questions.question_sheet(
            self._course(),
            gradebook,
            self._assignments(gradebook),
            unfinished=self.unfinished,
            students=self._students(),
        )
        sheet.write(target)
        yield f"Wrote {target}"
