"""Commands for instructors: grade, collect."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from dlcourse.cli import console, errors, main, open_course, write_json
from dlcourse.errors import CourseError


def _cores() -> int:
    return len(os.sched_getaffinity(0))


@main.command()
@click.argument("assignment")
@click.option("--student", help="Grade only this student.")
@click.option("--force", is_flag=True, help="Grade again what is up to date; every score starts from zero.")
@click.option(
    "--sandbox",
    type=click.Choice(["auto", "bubblewrap", "none"]),
    help="Where submissions run. auto (default): in bubblewrap, except the shipped sample class. none: unprotected.",
)
@click.option(
    "--workers", type=click.IntRange(1), default=_cores, show_default="processors", help="Processes of this machine."
)
@click.option("--scheduler", metavar="ADDRESS", help="Run the notebooks on the Dask cluster with this scheduler.")
@click.option(
    "--debug",
    is_flag=True,
    help="With --student: run it again, record nothing, keep what happened in debug/, leave the kernel open.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the full report to this file.")
@click.pass_obj
def grade(
    directory: Path,
    assignment: str,
    student: str | None,
    force: bool,
    sandbox: str | None,
    workers: int,
    scheduler: str | None,
    debug: bool,
    json_file: Path | None,
) -> None:
    """Grade the class: submitted/ → autograded/, gradebook, feedback/. Goes on where an earlier run stopped."""
    from dlcourse.grading import grade as engine
    from dlcourse.grading.report import Result, as_json

    course = open_course(directory)
    if sandbox == "none":
        errors.print("Warning: submissions run without a sandbox, with your own rights.", style="yellow")
    if debug:
        _debug(course, assignment, student, sandbox)
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    )
    with bar:
        task = bar.add_task(f"Grading {assignment}", total=None)
        causes: Counter[str] = Counter()

        def say(result: Result | None, done: int, total: int) -> None:
            causes[(result.cause or "in order") if result else "not graded"] += 1
            counted = ", ".join(f"{count} {cause}" for cause, count in causes.most_common())
            last = f"{result.student} {result.seconds:.1f} s" if result and not result.skipped else ""
            bar.update(task, completed=done, total=total, description=f"{counted}  {last}")

        result = engine.grade(
            course,
            assignment,
            student=student,
            force=force,
            sandboxed=sandbox,
            workers=workers,
            scheduler=scheduler,
            say=say,
        )
    if json_file:
        write_json(json_file, as_json(result))
    _print_scores(result)
    for name, reason in result.failed.items():
        errors.print(f"{name!r} was not graded: {reason}", style="red", markup=False, highlight=False)
    if result.failed:
        sys.exit(1)


def _debug(course, assignment: str, student: str | None, sandbox: str | None) -> None:  # type: ignore[no-untyped-def]
    from dlcourse.grading.reproduce import reproduce

    if student is None:
        raise CourseError("--debug runs one submission: name it with --student.")

    def keep_open(connection: Path) -> None:
        if sys.stdin.isatty():
            console.print(
                f"Its kernel is open: jupyter console --existing {connection}", highlight=False, soft_wrap=True
            )
            console.input("Enter ends it. ")

    folder, found = reproduce(course, assignment, student, sandboxed=sandbox, keep_open=keep_open)
    table = Table(title=f"{assignment}, {student}", title_justify="left")
    for column in ("question", "recorded", "now", "of", "cause"):
        table.add_column(column, justify="right" if column in ("recorded", "now", "of") else "left")
    for one in found:
        before = "" if one.recorded is None else f"{one.recorded:g}"
        table.add_row(one.grade_id, before, f"{one.score:g}", f"{one.max_score:g}", one.cause or "")
    console.print(table)
    console.print(f"{folder} holds the executed notebook, its log and the verdicts.", highlight=False, soft_wrap=True)


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
@click.argument("download", metavar="ZIP", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    type=click.Choice(["canvas", "gradescope", "folder"]),
    required=True,
    help="Where it comes from: Canvas's or Gradescope's export, or a folder (or ZIP) of what `course pack` made.",
)
@click.option("--assignment", help="The assignment; may be left out where the download tells.")
@click.option(
    "--roster",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A CSV that says which student is meant; Canvas's exported gradebook and Gradescope's roster will do.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--force", is_flag=True, help="Replace also what is newer, or was put or changed by hand.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the full report to this file.")
@click.pass_obj
def collect(
    directory: Path,
    download: Path,
    source: str,
    assignment: str | None,
    roster: Path | None,
    dry_run: bool,
    force: bool,
    json_file: Path | None,
) -> None:
    """Bring what a class handed in from ZIP to submitted/STUDENT/ASSIGNMENT/, and say what was not used.

    The newest upload of each notebook counts. A second run changes nothing.
    """
    from dlcourse.handin.collect import collect as engine

    with console.status("Collecting …") as status:
        result = engine(
            open_course(directory),
            download,
            source,
            assignment=assignment,
            roster=roster,
            dry_run=dry_run,
            force=force,
            say=lambda done, total: status.update(f"Collecting … {done} of {total}"),
        )
    if json_file:
        write_json(json_file, result.as_json())
    _print_collected(result)


_MOST_LINES = 60  # of what was not used, on a screen; the report file has all


def _print_collected(result) -> None:  # type: ignore[no-untyped-def]
    table = Table(
        title=result.assignment + (", nothing written (--dry-run)" if result.dry_run else ""), title_justify="left"
    )
    for column in ("student", "in the download", "", "handed in", "files"):
        table.add_column(column, overflow="fold", justify="right" if column == "files" else "left")
    for one in result.students:
        when = one.submitted or ("late" if one.late else "")
        table.add_row(*(Text(text) for text in [one.student, one.label, one.state, when, str(len(one.files))]))
    console.print(table)
    counts = {state: sum(one.state == state for one in result.students) for state in ("new", "updated", "unchanged")}
    kept = len(result.students) - sum(counts.values())
    said = ", ".join(f"{count} {state}" for state, count in counts.items()) + (
        f", {kept} left as they were" if kept else ""
    )
    console.print(f"{said}. Next: course grade {result.assignment}", highlight=False, markup=False)
    for one in result.students:
        for note in one.notes:
            errors.print(f"{one.student}: {note}", style="yellow", markup=False, highlight=False)
    for refusal in result.not_used[:_MOST_LINES]:
        errors.print(f"not used: {refusal.name}: {refusal.why}", style="yellow", markup=False, highlight=False)
    if len(result.not_used) > _MOST_LINES:
        more = len(result.not_used) - _MOST_LINES
        errors.print(f"… and {more} more not used: --json FILE lists all.", style="yellow", highlight=False)
