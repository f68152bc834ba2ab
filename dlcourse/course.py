"""A course directory: where things are, its configuration, and nbgrader's converters set up for it."""

from __future__ import annotations

import difflib
import functools
import glob
import logging
import os
import re
import sqlite3
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import nbgrader.api
from nbgrader.api import Gradebook
from nbgrader.converters.base import BaseConverter, NbGraderException
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DatabaseError, SAWarning
from traitlets.config import Config, LoggingConfigurable, PyFileConfigLoader

from dlcourse.errors import CourseError

BUSY_SECONDS = 30  # that a command waits for another one to let go of the gradebook


@event.listens_for(Engine, "connect")
def _patient(connection: Any, record: Any) -> None:
    """SQLite: readers and a writer side by side, and patience with another writer."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")


# nbgrader makes an engine each time that it opens the gradebook, eight times a submission; a new one compiles all
# statements anew. Closing a gradebook closes the engine's connections; what it compiled stays.
nbgrader.api.create_engine = functools.cache(create_engine)

# nbgrader adds a submission's rows one by one and SQLAlchemy warns of it at each; nothing a user could act on.
warnings.filterwarnings("ignore", category=SAWarning, message="Object of type .* not in session")

CONFIG_NAME = "nbgrader_config.py"
MENDED = "When that is mended, run the command again: what was finished is kept"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]*\Z")

T = TypeVar("T", bound=LoggingConfigurable)


def readable_name(name: str) -> bool:
    """Whether a folder name can be a student or an assignment: letters, digits and ``_.@+-``, not hidden."""
    return bool(_NAME.match(name)) and len(name) <= 128


class Course:
    """One course directory.

    Args:
        root: the directory that holds ``nbgrader_config.py``.

    Raises:
        CourseError: there is no configuration, or it does not load.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        if glob.has_magic(str(self.root)):
            raise CourseError(f"{self.root}: nbgrader takes *, ? and [ in a path for patterns. Rename the directory.")
        path = self.root / CONFIG_NAME
        if not path.is_file():
            raise CourseError(
                f"{self.root} is not a course directory: it has no {CONFIG_NAME}. "
                "Change to one, or make one with `course new DIR`."
            )
        try:
            self.config: Config = PyFileConfigLoader(path.name, path=str(self.root)).load_config()
        except Exception as error:
            raise CourseError(f"{path} does not load: {error}") from error
        # nbgrader starts `alembic` by name; it lies beside this Python, also when no environment is activated.
        beside = str(Path(sys.executable).parent)
        if beside not in os.environ.get("PATH", "").split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
        self.config.CourseDirectory.root = str(self.root)
        # Quiet by default: what a person needs to know is said by the commands themselves.
        self.log = logging.getLogger("dlcourse.nbgrader")
        if not self.log.handlers:
            self.log.addHandler(logging.NullHandler())
            self.log.propagate = False
            # What the gradebook logs before it raises: without any handler Python would print it with its traceback.
            logging.getLogger("tornado.application").addHandler(logging.NullHandler())

    def directory(self, **options: Any) -> CourseDirectory:
        """nbgrader's own view of this directory, for one assignment, student or notebook."""
        return CourseDirectory(config=self.config, **options)

    def path(self, step: str, assignment: str, student: str = ".") -> Path:
        """The folder of one assignment in a step: source, release, submitted, autograded or feedback."""
        course = self.directory()
        return Path(course.format_path(getattr(course, f"{step}_directory"), student, assignment))

    @property
    def db_url(self) -> str:
        """The gradebook's database address."""
        return self.directory().db_url

    def gradebook(self) -> Gradebook:
        """Open the gradebook; use it as a context manager."""
        return Gradebook(self.db_url, self.directory().course_id)

    def converter(self, kind: type[T], assignment: str, student: str = ".", **options: Any) -> T:
        """One of nbgrader's converters, with this course's configuration, for one assignment and student."""
        directory = self.directory(assignment_id=assignment, student_id=student)
        converter = kind(coursedir=directory, config=self.config, **options)
        converter.log = self.log
        return converter

    def convert(
        self,
        kind: type[BaseConverter],
        assignment: str,
        student: str,
        ignore: Sequence[str] = (),
        **attributes: Any,
    ) -> None:
        """Run one of nbgrader's converters for one student, over what an earlier run left.

        Args:
            ignore: names, or patterns of names, that it must not copy.
            attributes: of the converter.

        Raises:
            CourseError: it failed, for a reason outside the submission such as a full disk.
        """
        with self.errors() as errors:
            try:
                converter = self.converter(kind, assignment, student, force=True)
                converter.coursedir.ignore = [*converter.coursedir.ignore, *ignore]
                for name, value in attributes.items():
                    setattr(converter, name, value)
                converter.start()
            except (NbGraderException, OSError, DatabaseError) as error:
                reason = next((e for e in errors if "Error" in e), errors[0] if errors else str(error))
                reason = reason.removeprefix("dlcourse.errors.CourseError: ")
                raise CourseError(f"{reason}. {MENDED}" if "[Errno" in reason else reason) from error

    @contextmanager
    def errors(self) -> Iterator[list[str]]:
        """Collect what nbgrader logs as errors while the block runs."""
        collected: list[str] = []
        handler = _Collector(collected)
        self.log.addHandler(handler)
        try:
            yield collected
        finally:
            self.log.removeHandler(handler)

    def assignments(self) -> list[str]:
        """The assignments that have a folder with notebooks in ``source/``."""
        source = self.path("source", ".")
        return sorted(p.name for p in source.glob("*") if readable_name(p.name) and any(p.glob("*.ipynb")))

    def notebooks(self, assignment: str) -> list[str]:
        """The names, without suffix, of an assignment's notebooks.

        Raises:
            CourseError: the assignment is unknown.
        """
        found = self.assignments()
        if assignment not in found:
            raise CourseError(
                f"There is no assignment {assignment!r} in {self.path('source', '.')}. {suggest(assignment, found)}"
            )
        return sorted(p.stem for p in self.path("source", assignment).glob("*.ipynb"))

    def students(self, assignment: str) -> tuple[list[str], list[str]]:
        """Students with a folder for this assignment, and folder names that cannot be students."""
        base = Path(self.directory().format_path(self.directory().submitted_directory, ".", "."))
        folders = sorted(p.name for p in base.glob("*") if (p / assignment).is_dir())
        return [n for n in folders if readable_name(n)], [n for n in folders if not readable_name(n)]


class _Collector(logging.Handler):
    """Keeps the last line of each error record: of a traceback, the exception."""

    def __init__(self, collected: list[str]) -> None:
        super().__init__(logging.ERROR)
        self.collected = collected

    def emit(self, record: logging.LogRecord) -> None:
        lines = [line for line in record.getMessage().splitlines() if line.strip()]
        if lines and lines[-1] not in self.collected:
            self.collected.append(lines[-1])


def suggest(name: str, known: Iterable[str]) -> str:
    """One sentence that names what there is, closest first."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"There are: {', '.join(known[:20])}." if known else "There are none."
