"""The command ``course``: one module of commands for each kind of user."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console

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
        except ImportError as error:
            if "+learner" not in version("dlcourse") or not (error.name or "").startswith("dlcourse"):
                raise
            errors.print(
                "This is the learners' part of dlcourse: it checks and prints notebooks. Grading, collecting and "
                "exporting need the whole package, from a checkout of the course's repository.",
                style="red",
            )
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


def open_course(directory: Path):  # type: ignore[no-untyped-def]  # imports are slow: each command pays for its own
    from dlcourse.course import Course

    return Course(directory)


def write_json(path: Path, report: dict[str, object]) -> None:
    """Write a report at once, so that a full disk leaves the old one."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise CourseError(f"The report {path} cannot be written: {error.strerror}.") from error


from dlcourse.cli import authors, instructors, learners, lms  # noqa: E402, F401  # they add their commands to main
