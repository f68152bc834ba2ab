"""``course build``: source → release through nbgrader, and references recorded from the solutions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException

from dlcourse.build.lint import leaks, lint
from dlcourse.build.pages import carry, page_template
from dlcourse.build.record import dump, record
from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.grading.key import AnswerKey
from dlcourse.grading.run import Transcript
from dlcourse.handin.settings import HandIn


def build(course: Course, assignment: str, say: Callable[[str], None] = lambda text: None) -> dict[str, Transcript]:
    """Build one assignment; nothing is written unless every notebook of it is in order.

    Returns:
        For each notebook the transcript of its solution.

    Raises:
        CourseError: what stands in the way, by notebook and cell.
    """
    folder = course.path("source", assignment)
    rules = HandIn.read(course.config, assignment)
    texts: dict[Path, str] = {}
    transcripts: dict[str, Transcript] = {}
    problems: list[str] = []
    for name in course.notebooks(assignment):
        path = folder / f"{name}.ipynb"
        try:
            source = nbformat.read(path, as_version=4)
        except Exception as error:
            problems.append(f"{path.name}: not a notebook: {str(error)[:200]}")
            continue
        if found := lint(source):
            problems += [f"{path.name}: {finding}" for finding in found]
            continue
        say(f"{name}: running the solution")
        try:
            recorded, transcripts[name] = record(source, folder)
        except CourseError as error:
            problems += [f"{path.name}: {line}" for line in str(error).split("\n")]
            continue
        texts[AnswerKey.path(course, assignment, name)] = dump(recorded)
    if problems:
        raise CourseError(f"{assignment} was not built:\n  " + "\n  ".join(problems))
    say("making the release")
    executed = {name: run.notebook for name, run in transcripts.items() if run.notebook is not None}
    _release(course, assignment, rules.course, executed)
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        _write(path, text)
    return transcripts


def _release(course: Course, assignment: str, name_of_course: str, executed: dict[str, NotebookNode]) -> None:
    """Run nbgrader's generate_assignment into a trial folder first, and look for leaks before it runs for real."""
    templates: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory(prefix="dlc-") as trial:
        _generate(course, assignment, trial)
        for name in course.notebooks(assignment):
            source = nbformat.read(course.path("source", assignment) / f"{name}.ipynb", as_version=4)
            release = nbformat.read(Path(trial) / assignment / f"{name}.ipynb", as_version=4)
            if found := leaks(source, release):
                raise CourseError(f"{assignment} was not built:\n  " + "\n  ".join(f"{name}.ipynb: {f}" for f in found))
            try:
                templates[name] = page_template(source, executed[name], release, course.path("source", assignment))
            except CourseError as error:
                raise CourseError(f"{assignment} was not built:\n  {name}.ipynb: {error}") from error
    _generate(course, assignment)
    for name, template in templates.items():
        path = course.path("release", assignment) / f"{name}.ipynb"
        carry(path, name_of_course, assignment, template)


def _generate(course: Course, assignment: str, trial: str | None = None) -> None:
    converter = course.converter(GenerateAssignment, assignment, force=True)
    if trial:  # another place, and the gradebook left alone
        converter.coursedir.release_directory = trial
        converter.no_database = True
        converter.preprocessors = [p for p in converter.preprocessors if not str(p).endswith("SaveCells")]
    with course.errors() as errors:
        try:
            converter.start()
        except (NbGraderException, RuntimeError) as error:
            text = "\n".join(errors) or str(error)
            if "submissions associated" in text:
                text = (
                    "graded cells were added, removed or renamed, but the gradebook already holds submissions. "
                    f"Keep the grade_ids, or remove the old grades with `nbgrader db assignment remove {assignment}`."
                )
            raise CourseError(f"{assignment} was not built: {text}") from error


def _write(path: Path, text: str) -> None:
    """Replace a file at once, so that a full disk leaves the old one."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)
