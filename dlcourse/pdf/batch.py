"""The PDFs of a whole class: every graded submission of an assignment, each by a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import nbformat

from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.pdf.bounded import Limits, Report, notebook_to_pdf
from dlcourse.pdf.pages import template_in


@dataclass
class Printout:
    """One submission: where its PDF is and the report on it, or why there is none."""

    student: str
    notebook: str
    path: Path
    report: Report | None = None
    problem: str = ""


def print_class(
    course: Course,
    assignment: str,
    *,
    folder: Path,
    stable: bool = False,
    workers: int | None = None,
    limits: Limits = Limits(),  # noqa: B008
    say: Callable[[Printout, int, int], None] = lambda one, done, total: None,
) -> list[Printout]:
    """Print the graded copy of every submission to `folder`/NOTEBOOK/STUDENT.pdf.

    The copies in autograded/ are printed: their outputs come from the grader's own run, and their cells are aligned to
    the release, so that a page layout fits. What was handed in may hold outputs of another run, or none.
    One submission that fails leaves the others alone.

    Args:
        course: the course.
        assignment: its name.
        folder: for the PDFs.
        stable: give every question the pages of the released template.
        workers: PDFs made at a time; default: one for each processor.
        limits: of one PDF.
        say: told of each PDF, how many are done, and how many there are.

    Returns:
        One entry for each student and notebook, in order.

    Raises:
        CourseError: the assignment is unknown, nothing was submitted, or the release has no template.
    """
    names = course.notebooks(assignment)
    templates = {name: release_template(course, assignment, name) for name in names} if stable else {}
    students, _ = course.students(assignment)
    if not students:
        raise CourseError(f"Nobody has submitted {assignment}: there is no folder submitted/STUDENT/{assignment}.")
    people = _people(course)
    jobs = [Printout(student, name, folder / name / f"{student}.pdf") for name in names for student in students]
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)

    def work(one: Printout) -> None:
        graded = course.path("autograded", assignment, one.student) / f"{one.notebook}.ipynb"
        if not graded.is_file():
            one.problem = f"not graded: run `course grade {assignment}` first"
            return
        try:
            one.report = notebook_to_pdf(
                graded,
                one.path,
                name=people.get(one.student, one.student),
                pages=templates.get(one.notebook, "natural"),
                limits=limits,
            )
        except (CourseError, OSError) as error:
            one.problem = str(error)

    for done, one in enumerate(_each(work, jobs, workers or os.cpu_count() or 1), start=1):
        say(one, done, len(jobs))
    return jobs


def _each(work: Callable[[Printout], None], jobs: list[Printout], workers: int) -> Iterator[Printout]:
    """Do the jobs, several at a time, and give each when it is done."""
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(work, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def release_template(course: Course, assignment: str, notebook: str) -> dict[str, int]:
    """The page template of a released notebook: question title → pages.

    Raises:
        CourseError: there is no release, or it carries no template.
    """
    path = course.path("release", assignment) / f"{notebook}.ipynb"
    if not path.is_file():
        raise CourseError(f"{path} is missing. Make the release with `course build {assignment}`.")
    template = template_in(nbformat.read(path, as_version=4))
    if not template:
        raise CourseError(f"{path} carries no page template. Make the release anew with `course build {assignment}`.")
    return template


def _people(course: Course) -> dict[str, str]:
    """Names of students by id, where the gradebook knows them."""
    with course.gradebook() as gradebook:
        named = {str(one.id): f"{one.first_name or ''} {one.last_name or ''}".strip() for one in gradebook.students}
    return {student: f"{name} ({student})" for student, name in named.items() if name}
