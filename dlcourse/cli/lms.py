"""The commands of ``course export``: what other systems take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from dlcourse.cli import console, errors, main, open_course
from dlcourse.errors import CourseError

FILE = click.Path(path_type=Path)
SHOWN = 20  # names of a list; the rest is counted


@main.group()
def export() -> None:
    """Write what other systems take: grades, templates, packages."""


_anyway = click.option(
    "--anyway", is_flag=True, help="Export although answers wait for grading by hand; they count as 0 points."
)
_roster = click.option(
    "--roster", type=FILE, help="CSV: student_id beside the platform's columns that name the student, such as ID."
)


@export.command()
@click.argument("assignment")
@click.argument("gradebook", metavar="CANVAS_CSV", type=FILE)
@click.option("-o", "--output", type=FILE, help="The file to upload; default: canvas_ASSIGNMENT.csv.")
@click.option("--column", help="Canvas's assignment, by title or number; default: the one called ASSIGNMENT.")
@click.option("--match", help="Canvas's column that names the student; default: SIS Login ID.")
@_roster
@click.option("--excuse", multiple=True, metavar="STUDENT", help="This student is excused (EX); may be repeated.")
@click.option(
    "--scale/--no-scale", default=None, help="Where the points possible differ: convert, or write as they are."
)
@click.option("--only", is_flag=True, help="Leave the other assignments' columns out of the file.")
@_anyway
@click.option("--dry-run", is_flag=True, help="Show what would change and write nothing.")
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.pass_obj
def canvas(
    directory: Path,
    assignment: str,
    gradebook: Path,
    output: Path | None,
    column: str | None,
    match: str | None,
    roster: Path | None,
    excuse: tuple[str, ...],
    scale: bool | None,
    only: bool,
    anyway: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Fill ASSIGNMENT's column in CANVAS_CSV, the gradebook that Canvas exported, for import into Canvas.

    Shows what would change before it writes. Ids, order and other columns stay; nothing is ever added.
    """
    from dlcourse.lms import canvas as lms
    from dlcourse.lms.grades import read_grades
    from dlcourse.lms.roster import Roster

    target = output or Path(f"canvas_{assignment}.csv")
    if target.exists() and gradebook.exists() and target.samefile(gradebook):
        raise CourseError(f"{target} is the file that Canvas exported: name another with -o.")
    book = lms.CanvasGradebook(gradebook)
    with open_course(directory).gradebook() as opened:
        grades = read_grades(opened, assignment, unfinished=anyway)
    people = Roster(roster) if roster else None
    update = lms.plan(
        book, book.column(column or assignment), grades, roster=people, match=match, excused=excuse, scale=scale
    )
    _show(update, len(book.columns) - 1 if not only else 0)
    if dry_run:
        return
    if not update.changes:
        console.print("Canvas has all of it already: nothing was written.")
        return
    if not yes and not click.confirm(f"Write {target}?"):
        console.print("Nothing was written.")
        return
    lms.filled(book, update, alone=only).write(target)
    console.print(f"{target}: in Canvas, Grades → Import.", markup=False, highlight=False, soft_wrap=True)


def _show(update, others: int) -> None:  # type: ignore[no-untyped-def]
    table = Table(title=Text(f"{update.column.header} in Canvas"), title_justify="left")
    for name in ("student", "name in Canvas", "now", "new", "note"):
        table.add_column(name, justify="right" if name in ("now", "new") else "left")
    for change in update.changes:
        cells = (change.student, change.name, change.old or "–", change.new, change.note)
        table.add_row(*(Text(_printable(cell)) for cell in cells), style="red" if change.lower else "")
    if update.changes:
        console.print(table)
    lower = sum(change.lower for change in update.changes)
    console.print(
        f"{_count(len(update.changes), 'grade')} to change"
        + (f", {lower} of them downwards" if lower else "")
        + f"; {update.unchanged} already in Canvas.",
        highlight=False,
        soft_wrap=True,
    )
    for reason in dict.fromkeys(update.kept.values()):
        _list(f"Left as they are, {reason}", [s for s, why in update.kept.items() if why == reason])
    _list("In Canvas only", update.only_in_canvas)
    _list("In the gradebook only, not exported", update.only_in_gradebook)
    if others > 0 and update.changes:
        console.print(
            f"{_count(others, 'other assignment')} in the file as Canvas exported it: import it soon, or leave "
            "everything else out with --only.",
            highlight=False,
            soft_wrap=True,
        )


def _list(title: str, names: Iterable[str]) -> None:
    names = [_printable(name) for name in names]
    if names:
        more = f" … and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        text = f"{title} ({len(names)}): {'; '.join(names[:SHOWN])}{more}"
        errors.print(text, style="yellow", markup=False, highlight=False)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text)


@export.command()
@click.argument("assignment")
@click.argument("table", metavar="[GRADESCOPE_CSV]", type=FILE, required=False)
@click.option("-o", "--output", type=FILE, help="Default: gradescope_ASSIGNMENT.csv.")
@_roster
@_anyway
@click.pass_obj
def gradescope(
    directory: Path, assignment: str, table: Path | None, output: Path | None, roster: Path | None, anyway: bool
) -> None:
    """Write ASSIGNMENT's grades as Gradescope lists them: totals and a column for every question.

    With GRADESCOPE_CSV, a roster or scores that Gradescope wrote, its rows, order and ids are kept.
    """
    from dlcourse.lms import gradescope as lms
    from dlcourse.lms.grades import read_grades
    from dlcourse.lms.headings import headings
    from dlcourse.lms.roster import Roster

    course = open_course(directory)
    target = output or Path(f"gradescope_{assignment}.csv")
    if table and target.exists() and table.exists() and target.samefile(table):
        raise CourseError(f"{target} is the file that Gradescope wrote: name another with -o.")
    with course.gradebook() as opened:
        grades = read_grades(opened, assignment, unfinished=anyway)
    made = lms.table(grades, headings(course, assignment), table, Roster(roster) if roster else None)
    made.sheet.write(target)
    _list("In Gradescope only", made.only_in_gradescope)
    _list("In the gradebook only, not exported", made.only_in_gradebook)
    console.print(f"{target}: {made.graded} graded students.", markup=False, highlight=False, soft_wrap=True)


@export.command()
@click.argument("assignment", required=False)
@click.option("-o", "--output", type=FILE, help="Default: questions_ASSIGNMENT.csv.")
@_anyway
@click.pass_obj
def csv(directory: Path, assignment: str | None, output: Path | None, anyway: bool) -> None:
    """Write one row a question of ASSIGNMENT (default: of all) for analysis: points, cause, failed checks."""
    from dlcourse.lms.questions import graded_assignments, question_sheet

    course = open_course(directory)
    target = output or Path(f"questions_{assignment or 'all'}.csv")
    with course.gradebook() as opened:
        names = [assignment] if assignment else graded_assignments(opened)
        if not names:
            raise CourseError("Nobody has been graded in any assignment. Run `course grade`.")
        sheet = question_sheet(course, opened, names, unfinished=anyway)
    sheet.write(target)
    console.print(f"{target}: {len(sheet.rows) - 1} rows.", markup=False, highlight=False, soft_wrap=True)


@export.command()
@click.argument("assignment")
@click.option("-o", "--output", type=FILE, help="Default: ASSIGNMENT_students.zip.")
@click.pass_obj
def students(directory: Path, assignment: str, output: Path | None) -> None:
    """Write what learners download for ASSIGNMENT: notebooks, data, the package without the judge, how to start."""
    from dlcourse.lms.students import export_students

    target = output or Path(f"{assignment}_students.zip")
    names = export_students(open_course(directory), assignment, target)
    console.print(f"{target}: {', '.join(names)}", markup=False, highlight=False, soft_wrap=True)


@export.command()
@click.argument("assignment")
@click.option("-o", "--output", type=FILE, help="Default: ASSIGNMENT_autograder.zip.")
@click.pass_obj
def autograder(directory: Path, assignment: str, output: Path | None) -> None:
    """Write the autograder of ASSIGNMENT for a Gradescope programming assignment: it grades as `course grade` does."""
    from dlcourse.lms.autograder.package import export_autograder

    target = output or Path(f"{assignment}_autograder.zip")
    packed = export_autograder(open_course(directory), assignment, target)
    console.print(
        f"{target}: {len(packed.files)} files. It holds the answer key: for Gradescope only.", highlight=False
    )
    by_hand = f", and {packed.by_hand:g} points for manual grading" if packed.by_hand else ""
    console.print(
        f"In Gradescope: a programming assignment with {packed.points:g} autograder points{by_hand}; upload the file "
        "under Configure Autograder, with the base image Ubuntu 24.04 or later.",
        highlight=False,
        soft_wrap=True,
    )


@export.command()
@click.argument("assignment")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the PDFs; default: pdf/ASSIGNMENT.")
@click.pass_obj
def template(directory: Path, assignment: str, output: Path | None) -> None:
    """Make the blank PDF of ASSIGNMENT's page template, to upload to Gradescope."""
    from dlcourse.handin.settings import HandIn
    from dlcourse.pdf.batch import release_template
    from dlcourse.pdf.blank import blank_pdf
    from dlcourse.pdf.bounded import write_whole
    from dlcourse.pdf.pages import described, template_map

    course = open_course(directory)
    named = HandIn.read(course.config, assignment).course
    folder = output or course.root / "pdf" / assignment
    pages = {name: release_template(course, assignment, name) for name in course.notebooks(assignment)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, allotted in pages.items():
        target = folder / f"{name}-template.pdf"
        made = blank_pdf(allotted, title=name, course=named, assignment=assignment)
        write_whole(target, made)
        console.print(f"{target}: {sum(allotted.values())} pages", highlight=False, soft_wrap=True)
        for line in described(template_map(allotted)):
            console.print(f"  {line}", markup=False, highlight=False)
