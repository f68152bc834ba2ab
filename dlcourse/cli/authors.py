"""Commands for course authors: new, build, audit."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dlcourse.cli import console, errors, main, open_course
from dlcourse.errors import CourseError


@main.command()
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
def new(target: Path) -> None:
    """Make a course directory DIR: the assignments' sources, the configuration, an empty gradebook."""
    from dlcourse.new import new as make

    course = make(target)
    console.print(
        f"{target} is ready with {', '.join(course.assignments())}. Next: cd {target} && course build",
        highlight=False,
        soft_wrap=True,
    )


@main.command()
@click.argument("assignment", required=False)
@click.pass_obj
def build(directory: Path, assignment: str | None) -> None:
    """Make the release of ASSIGNMENT (default: all) and record its references."""
    from dlcourse.build import build as build_one

    course = open_course(directory)
    names = [assignment] if assignment else course.assignments()
    if not names:
        raise CourseError(f"There is no assignment in {course.root / 'source'}.")
    for name in names:
        with console.status(f"{name} …") as status:
            transcripts = build_one(course, name, lambda text, n=name: status.update(f"{n}: {text} …"))  # type: ignore[misc]
        for notebook, run in transcripts.items():
            checked = f"{len(run.cells)} graded cells"
            console.print(
                f"{name}/{notebook}: {checked}, solution {run.seconds:.1f} s, graded part {run.graded_seconds:.1f} s"
            )


@main.command()
@click.argument("assignment")
@click.argument("notebook", required=False)
@click.option(
    "--lines", is_flag=True, help="Also try every solution without one of its lines, and every emptied function."
)
@click.pass_obj
def audit(directory: Path, assignment: str, notebook: str | None, lines: bool) -> None:
    """Is the grader of ASSIGNMENT, or of one NOTEBOOK of it, fair? Wrong answers must lose exactly their points,
    right ones none."""
    from dlcourse.audit import audit as audit_one
    from dlcourse.course import suggest

    course = open_course(directory)
    findings = []
    names = course.notebooks(assignment)
    if notebook is not None and notebook not in names:
        raise CourseError(f"There is no notebook {notebook!r} in {assignment}. {suggest(notebook, names)}")
    for name in names if notebook is None else [notebook]:
        with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                      console=errors, transient=True) as bar:  # fmt: skip
            task = bar.add_task(f"Auditing {assignment}/{name}", total=None)
            questions = audit_one(
                course,
                assignment,
                name,
                lines=lines,
                say=lambda d, t: bar.update(task, completed=d, total=t),  # noqa: B023
            )
        table = Table(title=f"{assignment}/{name}", title_justify="left")
        for column in ("question", "points", "wrong caught", "right kept", "noise of right", "nearest wrong"):
            table.add_column(column, justify="left" if column == "question" else "right")
        for q in questions:
            nearest = "" if q.nearest == float("inf") else f"{q.nearest:.2g}"
            table.add_row(
                q.grade_id, f"{q.points:g}", f"{q.caught}/{q.wrong}", f"{q.kept}/{q.right}", f"{q.noise:.2g}", nearest
            )
            findings += [f"{q.grade_id}: {finding}" for finding in q.findings]
        console.print(table)
    console.print("noise and nearest: distance from the reference in units of the tolerance; 1 is the limit.")
    for finding in findings:
        errors.print(finding, style="red", markup=False, highlight=False)
    if findings:
        sys.exit(1)
