"""Commands for learners: check, pdf, pack."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from dlcourse.cli import console, errors, main, open_course, write_json
from dlcourse.errors import CourseError

if TYPE_CHECKING:
    from dlcourse.handin.rules import Finding
    from dlcourse.handin.sheet import Sheet
    from dlcourse.pdf import Limits
    from dlcourse.validate import Validation


@main.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("--run/--no-run", default=True, help="Run the notebook and its checks, or look at the stored file alone.")
@click.option(
    "--release",
    type=click.Path(path_type=Path),
    help="The notebook as it was handed out, if NOTEBOOK lost its metadata.",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the report to this file; -: to the screen."
)
def check(notebook: Path, run: bool, release: Path | None, json_file: Path | None) -> None:
    """Is NOTEBOOK ready to be handed in? Runs it from top to bottom, then holds it against the course's hand-in rules.

    What the checks find and what breaks a rule is said with its place and how to mend it. Penalties are shown and
    decided by the grader. The command ends with 1 while there is something to mend.
    """
    from dlcourse.handin.cells import read_notebook
    from dlcourse.handin.rules import check_rules
    from dlcourse.handin.sheet import sheet_of

    validation = None
    if run:
        from dlcourse.validate import validate

        with console.status(f"Running {notebook.name} in a fresh kernel …"):
            validation = validate(notebook)
    stored = validation.stored if validation else read_notebook(notebook)
    sheet = sheet_of(read_notebook(release) if release else stored)
    found = check_rules(notebook, stored, sheet, validation.ran if validation else None) if sheet else []
    in_order = not found and (validation is None or validation.in_order)
    quiet = json_file == Path("-")
    if json_file:
        report = _report(notebook, validation, sheet, found, in_order)
        if quiet:
            click.echo(json.dumps(report, indent=1, ensure_ascii=False))
        else:
            write_json(json_file, report)
    if not quiet:
        if validation:
            _print_answers(validation)
        _print_rules(sheet, found)
        if sheet:
            _print_due(sheet)
    if not in_order:
        sys.exit(1)
    if validation and not quiet:
        console.print("Every visible check passes. Grading also calls your functions with other inputs.")


def _print_answers(validation: Validation) -> None:
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


def _print_rules(sheet: Sheet | None, found: list[Finding]) -> None:
    if sheet is None:
        console.print("The notebook carries no hand-in rules. Name it as it was handed out with --release FILE.")
        return
    if not found:
        console.print("✓ Ready to be handed in: no rule is broken.", style="green", highlight=False)
        return
    table = Table(title="To mend before you hand in", title_justify="left", show_lines=True)
    for column in ("rule", "where", "what is wrong, and how to mend it"):
        table.add_column(column, overflow="fold")
    penalties = any(finding.penalty for finding in found)
    if penalties:
        table.add_column("may cost", justify="right")
    for finding in found:
        what = Text.assemble((finding.message, "red"), f". {finding.mend}.")
        cost = [Text(f"{finding.penalty:g} %" if finding.penalty else "")] if penalties else []
        table.add_row(Text(finding.rule), Text(finding.place), what, *cost)
    console.print(table)
    if penalties:
        console.print("May cost: percent of the grade. Nothing is deducted by itself; the grader decides.")


def _print_due(sheet: Sheet) -> None:
    if due := sheet.deadline():
        console.print(f"Due {due:%A, %d %B %Y, %H:%M} (UTC{due:%z}).", highlight=False)


def _report(
    notebook: Path, validation: Validation | None, sheet: Sheet | None, found: list[Finding], in_order: bool
) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "notebook": notebook.name,
        "assignment": sheet.assignment if sheet else None,
        "in_order": in_order,
        "rules": sheet.rules if sheet else None,
        "due": sheet.due if sheet else None,
        "findings": [asdict(finding) for finding in found],
        "answers": [asdict(answer) for answer in validation.answers] if validation else None,
        "changed": validation.changed if validation else None,
    }


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


@main.command()
@click.argument("assignment")
@click.option("--first", required=True, help="Your first name, in any script.")
@click.option("--last", required=True, help="Your last name.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write to; default: hand-in, beside the notebooks.",
)
@click.option("--anyway", is_flag=True, help="Pack what breaks rules too; the last page of the PDF then lists them.")
@click.option(
    "--release",
    type=click.Path(path_type=Path, exists=True),
    help="The notebook as handed out, if yours lost metadata.",
)
@click.pass_obj
def pack(
    directory: Path, assignment: str, first: str, last: str, output: Path | None, anyway: bool, release: Path | None
) -> None:
    """Make the files to hand in: a PDF, the notebooks under the course's names, and a ZIP of both.

    ASSIGNMENT is its name, such as ps6_rnn, or the path of its folder or notebook. Everything is opened again before
    the command says that it is there. The notebook is not run: what is stored in it is handed in.
    """
    from dlcourse.handin.pack import pack as make

    named = directory / assignment
    home = named if named.is_dir() else named.parent if named.is_file() else directory
    with console.status("Packing …"):
        packed = make(
            assignment, first, last, where=directory, output=output or home / "hand-in", anyway=anyway, release=release
        )
    for warning in packed.warnings:
        errors.print(f"Warning: {warning}", style="yellow", markup=False, highlight=False)
    if packed.findings:
        count = f"{len(packed.findings)} broken rules" if len(packed.findings) > 1 else "a broken rule"
        errors.print(f"Packed with {count}: see the last page of the PDF.", style="yellow", highlight=False)
    for path in packed.files:
        pages = f", {packed.pages} pages" if path.suffix == ".pdf" else ""
        console.print(
            f"{path} ({path.stat().st_size / 1024:.0f} KiB{pages})", highlight=False, markup=False, soft_wrap=True
        )
    _print_due(packed.sheet)
    console.print("Opened again and found whole. Upload the PDF and the ZIP where your course says.", highlight=False)
