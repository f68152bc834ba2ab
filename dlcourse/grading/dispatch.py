"""The way of a class through the workers: notebooks out, judged notebooks back, one writer of the gradebook."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.converters import Autograde

from dlcourse.course import MENDED, Course
from dlcourse.errors import CourseError
from dlcourse.grading.job import Job
from dlcourse.grading.key import AnswerKey
from dlcourse.grading.reading import Unreadable, load
from dlcourse.grading.report import ClassResult, Result, collect
from dlcourse.grading.scratch import pack, unpack
from dlcourse.grading.steps import Run
from dlcourse.grading.workers import WORKER_DIED, Pool, Workers

TRIES = 3  # how often a submission is begun whose worker was killed
Say = Callable[[Result | None], None]


@dataclass
class _Student:
    """A submission on its way: what it is, what was judged so far, how often its worker was lost."""

    name: str
    fingerprint: str
    notebooks: list[str]
    judged: dict[str, NotebookNode] = field(default_factory=dict)
    lost: int = 0


@dataclass(frozen=True)
class _Task:
    """What a future stands for: one notebook of a student or, without one, the feedback."""

    student: _Student
    notebook: str | None


class Dispatcher:
    """Grades submissions of one assignment.

    Workers take notebooks in, run and judge them. This process alone writes the gradebook, through nbgrader's own
    converter. When a step is done it leaves a marker, so that a later run goes on from there.
    """

    def __init__(self, course: Course, assignment: str, keys: dict[str, AnswerKey]) -> None:
        self.course, self.assignment, self.keys = course, assignment, keys
        self._active: dict[Future[Any], _Task] = {}

    def up_to_date(self, student: str, step: str = "feedback") -> bool:
        """Whether a step was taken with this submission as it is now, by the answer keys of now."""
        marker = self._marker(student, step)
        return marker.is_file() and marker.read_text("utf-8") == self._fingerprint(student)

    def check_walls(self, students: list[str]) -> None:
        """Refuse to start when a submission needs the sandbox and there is none.

        Raises:
            CourseError: that is so.
        """
        self._run().settings([path for student in students for path in self.handed_in(student).values()])

    def take(
        self, students: list[str], local: Workers, pool: Pool, result: ClassResult, say: Say, *, force: bool
    ) -> None:
        """Grade these submissions and add them to ``result``; what keeps one from being graded costs no other.

        Args:
            local: processes of this machine, for feedback pages.
            pool: where notebooks are run.
            force: run also what was run before, when only its feedback is missing.
        """
        waiting = deque(students)
        while waiting or self._active:
            while waiting and len(self._active) < 2 * pool.count:  # so that memory does not hold the class
                name = waiting.popleft()
                self._step(name, partial(self._begin, name, local, pool, force), result, say)
            for future in wait(self._active, return_when=FIRST_COMPLETED).done:
                task = self._active.pop(future)
                if task.student.name not in result.failed:
                    self._step(task.student.name, partial(self._end, future, task, local, pool), result, say)

    def _step(self, student: str, step: Callable[[], bool], result: ClassResult, say: Say) -> None:
        """Take one step with a submission, which says whether it was the last."""
        one = None
        try:
            if not step():
                return
            one = collect(self.course, self.assignment, student)
            result.submissions.append(one)
        except CourseError as error:
            result.failed[student] = str(error)
        except OSError as error:
            result.failed[student] = f"{error}. {MENDED}"
        say(one)

    def _begin(self, name: str, local: Workers, pool: Pool, force: bool) -> bool:
        """Send the notebooks of a submission to be judged."""
        self._marker(name, "feedback").unlink(missing_ok=True)
        if not force and self.up_to_date(name, "autograded"):
            self._send(_Task(_Student(name, self._fingerprint(name), []), None), local)
            return False
        self._marker(name, "autograded").unlink(missing_ok=True)  # what a killed run leaves behind is not up to date
        notebooks = list(self.handed_in(name))
        if not notebooks:
            self._no_notebook(name)
            return True
        student = _Student(name, self._fingerprint(name), notebooks)
        for notebook in student.notebooks:
            self._send(_Task(student, notebook), pool)
        return False

    def _end(self, future: Future[Any], task: _Task, local: Workers, pool: Pool) -> bool:
        """Take the result of a task; the feedback's is the last of a submission."""
        student = task.student
        try:
            made = future.result()
        except WORKER_DIED as error:
            student.lost += 1
            if student.lost >= TRIES:
                raise CourseError(f"its worker was killed {student.lost} times. Run the command again") from error
            self._send(task, local if task.notebook is None else pool)
            return False
        except (CourseError, OSError):
            raise
        except Exception as error:  # a fault of ours, or of the machine, with this submission: the class goes on
            what = str(error).strip().splitlines()
            raise CourseError(f"{type(error).__name__}: {what[0] if what else 'no message'}") from error
        if task.notebook is None:
            self._marker(student.name, "feedback").write_text(student.fingerprint, "utf-8")
            return True
        student.judged[task.notebook] = made
        if len(student.judged) == len(student.notebooks):
            self._record(student)
            self._marker(student.name, "autograded").write_text(student.fingerprint, "utf-8")
            self._send(_Task(student, None), local)
        return False

    def _send(self, task: _Task, pool: Any) -> None:
        student = task.student
        if task.notebook is None:
            future = pool.feedback(self.course.root, self.assignment, student.name)
        else:
            future = pool.submit(self.job(student.name, task.notebook))
        self._active[future] = task

    def job(self, student: str, notebook: str) -> Job:
        """What grading one notebook needs."""
        folder = self.course.path("submitted", self.assignment, student)
        path = folder / f"{notebook}.ipynb"
        try:
            submission: bytes | str = load(path)
        except Unreadable as error:
            submission = str(error)
        release = nbformat.read(self.course.path("release", self.assignment) / f"{notebook}.ipynb", as_version=4)
        return Job(submission, release, self.keys[notebook], self._files(student), self._run().settings([path]))

    def _record(self, student: _Student) -> None:
        """Write what was judged into autograded/ and the gradebook, as ``nbgrader autograde`` does.

        Beside the notebooks goes what the kernel had. nbgrader would follow links, and compares every file's name with
        every other's.
        """
        self.course.convert(Autograde, self.assignment, student.name, ignore=["*"], judged=student.judged)
        unpack(self._files(student.name), self.course.path("autograded", self.assignment, student.name))

    def _files(self, student: str) -> bytes:
        """The files that the notebooks may load; the course's take the place of the student's."""
        source = self.course.path("source", self.assignment)
        submitted = self.course.path("submitted", self.assignment, student)
        return pack(source, submitted, ignore=self.course.directory().ignore)

    def _no_notebook(self, student: str) -> None:
        """A folder without any notebook of the assignment: zero for everything, nothing to run."""
        for step in ("autograded", "feedback"):
            shutil.rmtree(self.course.path(step, self.assignment, student), ignore_errors=True)
        with self.course.gradebook() as gradebook:
            gradebook.update_or_create_student(student)
            submission = gradebook.update_or_create_submission(self.assignment, student)
            for notebook in submission.notebooks:
                for one in notebook.grades:
                    one.auto_score, one.needs_manual_grade = 0, False
            gradebook.db.commit()

    def handed_in(self, student: str) -> dict[str, Path]:
        """The notebooks of the assignment that were handed in: their names, and where they lie."""
        folder = self.course.path("submitted", self.assignment, student)
        return {name: folder / f"{name}.ipynb" for name in self.keys if os.path.lexists(folder / f"{name}.ipynb")}

    def _run(self) -> Run:
        return Run(config=self.course.config)

    def _marker(self, student: str, step: str) -> Path:
        """The file that is written when a step is done: autograded or feedback."""
        return self.course.path(step, self.assignment, student) / ".graded"

    def _fingerprint(self, student: str) -> str:
        """A digest of everything that a grade depends on: the files handed in and the answer keys."""
        digest = hashlib.sha256()
        for name in sorted(self.keys):
            digest.update(f"{name}:{self.keys[name].fingerprint}\n".encode())
        folder = self.course.path("submitted", self.assignment, student)
        for path in sorted(folder.rglob("*")):
            status = path.lstat()
            digest.update(f"{path.relative_to(folder)}:{status.st_mode}:{status.st_size}\n".encode("utf-8", "replace"))
            if path.is_file() and not path.is_symlink() and status.st_size <= 64 * 2**20:
                digest.update(path.read_bytes())
        return digest.hexdigest()
