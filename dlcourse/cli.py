"""The command ``course``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dlcourse.errors import CourseError

console = Console()
errors = Console(stderr=True, soft_wrap=True)


class _Commands(click.Group):
    """Shows a user's mistake as one message without a traceback, and ends cleanly on Ctrl-C."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CourseError as error:
            errors.print(str(error), style="red", markup=False, highlight=False)
            ctx.exit(1)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            errors.print(f"{where}{error.strerror or error}", style="red", markup=False, highlight=False)
            ctx.exit(1)
        except KeyboardInterrupt:
            errors.print("Stopped. What was finished is kept; run the command again to go on.", highlight=False)
            ctx.exit(130)
        return None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C",
    "--directory",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The course directory; default: the current one.",
)
@click.version_option(package_name="dlcourse")
@click.pass_context
def main(ctx: click.Context, directory: Path) -> None:
    """A deep-learning course: build, grade and audit assignments; check and print notebooks."""
    ctx.obj = directory


def _course(directory: Path):  # type: ignore[no-untyped-def]  # imports are slow: each command pays for its own
    from dlcourse.course import Course

    return Course(directory)


@main.command()
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
def new(target: Path) -> None:
    """Make a course directory DIR: the assignments' sources, the configuration, an empty gradebook."""
    from dlcourse.new import new as make

    course = make(target)
    console.print(
        f"{target} is ready with {', '.join(course.assignments())}. Next: cd {target} && course build", highlight=False
    )


@main.command()
@click.argument("assignment", required=False)
@click.pass_obj
def build(directory: Path, assignment: str | None) -> None:
    """Make the release of ASSIGNMENT (default: all) and record its references."""
    from dlcourse.build import build as build_one

    course = _course(directory)
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
@click.option("--student", help="Grade only this student.")
@click.option("--force", is_flag=True, help="Grade again what is up to date; every score starts from zero.")
@click.option(
    "--sandbox",
    type=click.Choice(["auto", "bubblewrap", "none"]),
    help="Where submissions run. auto (default): in bubblewrap, except the shipped sample class. none: unprotected.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the full report to this file.")
@click.pass_obj
def grade(
    directory: Path, assignment: str, student: str | None, force: bool, sandbox: str | None, json_file: Path | None
) -> None:
    """Grade the class: submitted/ → autograded/, gradebook, feedback/. Goes on where an earlier run stopped."""
    from dlcourse.grading import grade as engine
    from dlcourse.grading.report import Result, as_json

    course = _course(directory)
    if sandbox == "none":
        errors.print("Warning: submissions run without a sandbox, with your own rights.", style="yellow")
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    )
    with bar:
        task = bar.add_task(f"Grading {assignment}", total=None)

        def say(result: Result | None, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        result = engine.grade(course, assignment, student=student, force=force, sandboxed=sandbox, say=say)
    if json_file:
        _write_json(json_file, as_json(result))
    _print_scores(result)
    for name, reason in result.failed.items():
        errors.print(f"{name!r} was not graded: {reason}", style="red", markup=False, highlight=False)
    if result.failed:
        sys.exit(1)


def _write_json(path: Path, report: dict[str, object]) -> None:
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise CourseError(
            f"The report {path} cannot be written: {error.strerror}. The grades are in the gradebook."
        ) from error


def _print_scores(result) -> None:  # type: ignore[no-untyped-def]
    table = Table(title=result.assignment, title_justify="left")
    table.add_column("student", overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("of", justify="right")
    table.add_column("cause")
    table.add_column("by hand", justify="right")
    table.add_column("repairs", justify="right")
    table.add_column("seconds", justify="right")
    for one in result.submissions:
        waiting = sum(q["max_score"] for q in one.questions if q["score"] is None)
        table.add_row(
            one.student,
            f"{one.score:g}" if round(one.score, 2) == one.score else f"{one.score:.2f}",
            f"{one.max_score:g}",
            one.cause or "",
            f"{waiting:g}" if waiting else "",
            str(len(one.repairs) or ""),
            "kept" if one.skipped else f"{one.seconds:.1f}",
        )
    console.print(table)
    if any(q["score"] is None for one in result.submissions for q in one.questions):
        console.print("by hand: points of answers in words that wait for manual grading (`nbgrader formgrade`).")


@main.command()
@click.argument("assignment")
@click.option(
    "--lines", is_flag=True, help="Also try every solution without one of its lines, and every emptied function."
)
@click.pass_obj
def audit(directory: Path, assignment: str, lines: bool) -> None:
    """Is the grader of ASSIGNMENT fair? Wrong answers must lose exactly their points, right ones none."""
    from dlcourse.audit import audit as audit_one

    course = _course(directory)
    findings = []
    for notebook in course.notebooks(assignment):
        with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                      console=errors, transient=True) as bar:  # fmt: skip
            task = bar.add_task(f"Auditing {assignment}/{notebook}", total=None)
            questions = audit_one(
                course,
                assignment,
                notebook,
                lines=lines,
                say=lambda d, t: bar.update(task, completed=d, total=t),  # noqa: B023
            )
        table = Table(title=f"{assignment}/{notebook}", title_justify="left")
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
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The PDF; default: beside the notebook.")
@click.option("--name", help="Your name, for the page header.")
def pdf(notebook: Path, output: Path | None, name: str | None) -> None:
    """Print NOTEBOOK as a PDF."""
    from dlcourse.pdf import notebook_to_pdf

    target = output or notebook.with_suffix(".pdf")
    for warning in notebook_to_pdf(notebook, target, name=name):
        errors.print(f"Warning: {warning}", style="yellow", markup=False, highlight=False)
    console.print(str(target), highlight=False)
