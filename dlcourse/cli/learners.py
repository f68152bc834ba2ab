"""Commands for learners: check, pdf."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dlcourse.cli import console, errors, main, open_course
from dlcourse.errors import CourseError

if TYPE_CHECKING:
    from dlcourse.pdf import Limits


@main.command()
@click.argument("notebook", type=click.Path(path_type=Path))
def check(notebook: Path) -> None:
    """Run NOTEBOOK from top to bottom and say, question by question, what its visible checks find."""
    from dlcourse.validate import validate

    with console.status(f"Running {notebook.name} in a fresh kernel …"):
        validation = validate(notebook)
    for name in validation.changed:
        errors.print(f"✗ {name}: this cell is locked but was changed; grading puts it back", style="red", markup=False)
    for answer in validation.answers:
        title = f"{answer.question} ({answer.grade_id})"
        if answer.by_hand:
            state = "no answer yet" if answer.open else "answered; graded by hand"
            console.print(f"{'✗' if answer.open else '·'} {title}: {state}", markup=False, highlight=False)
        elif answer.problems:
            console.print(f"✗ {title}", style="red", markup=False, highlight=False)
            for problem in answer.problems:
                console.print(f"    {problem}", markup=False, highlight=False, soft_wrap=True)
        else:
            console.print(f"✓ {title}", style="green", markup=False, highlight=False)
    if not validation.in_order:
        sys.exit(1)
    console.print("Every visible check passes. Grading also calls your functions with other inputs.")


@main.command()
@click.argument("notebook", metavar="NOTEBOOK|ASSIGNMENT", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The PDF; default: beside the notebook.")
@click.option("--name", default="", help="Your name, for the page header.")
@click.option("--course", default="", help="The course's name, for the header; default: as released.")
@click.option("--assignment", default="", help="The assignment's name, for the header; default: as released.")
@click.option(
    "--pages",
    type=click.Choice(["natural", "template"]),
    default="natural",
    help="natural (default): every question as long as it is. template: the pages that the assignment allots to it.",
)
@click.option(
    "--all", "whole_class", is_flag=True, help="Print every graded submission of ASSIGNMENT to pdf/ASSIGNMENT."
)
@click.option("--workers", type=click.IntRange(1, 64), help="With --all: PDFs at a time; default: one a processor.")
@click.option("--seconds", type=click.FloatRange(1), default=60.0, help="Longest time for one PDF; default: 60.")
@click.pass_obj
def pdf(
    directory: Path,
    notebook: Path,
    output: Path | None,
    name: str,
    course: str,
    assignment: str,
    pages: str,
    whole_class: bool,
    workers: int | None,
    seconds: float,
) -> None:
    """Print NOTEBOOK as a PDF, every question on a page of its own; or, with --all, a class."""
    from dlcourse.pdf import Limits, notebook_to_pdf
    from dlcourse.pdf.pages import described

    if whole_class:
        _print_class(directory, str(notebook), output, pages == "template", workers, Limits(seconds))
        return
    if not notebook.is_file():
        raise CourseError(f"There is no notebook {notebook}. A class is printed by `course pdf --all ASSIGNMENT`.")
    target = output or notebook.with_suffix(".pdf")
    if target.is_dir():
        target = target / f"{notebook.stem}.pdf"
    report = notebook_to_pdf(
        notebook, target, name=name, course=course, assignment=assignment, pages=pages, limits=Limits(seconds)
    )
    for warning in report.warnings:
        errors.print(f"Warning: {warning}", style="yellow", markup=False, highlight=False)
    console.print(str(target), markup=False, highlight=False, soft_wrap=True)
    for line in described(report.pages):
        console.print(f"  {line}", markup=False, highlight=False)


def _print_class(
    directory: Path, assignment: str, output: Path | None, stable: bool, workers: int | None, limits: Limits
) -> None:
    from dlcourse.pdf.batch import Printout, print_class

    course = open_course(directory)
    folder = output or course.root / "pdf" / assignment
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                  console=errors, transient=True) as bar:  # fmt: skip
        task = bar.add_task(f"Printing {assignment}", total=None)

        def say(one: Printout, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        printed = print_class(course, assignment, folder=folder, stable=stable, workers=workers, limits=limits, say=say)
    for one in printed:
        for warning in one.report.warnings if one.report else []:
            errors.print(f"{one.student}/{one.notebook}: {warning}", style="yellow", markup=False, highlight=False)
    failed = [one for one in printed if one.problem]
    for one in failed:
        errors.print(f"{one.student}/{one.notebook}: no PDF: {one.problem}", style="red", markup=False, highlight=False)
    console.print(f"{len(printed) - len(failed)} PDFs in {folder}", markup=False, highlight=False, soft_wrap=True)
    if failed:
        sys.exit(1)
