"""``course new``: a fresh course directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import dlcourse
from dlcourse.course import CONFIG_NAME, Course
from dlcourse.errors import CourseError


def checkout() -> Path:
    """The checked-out repository that this package runs from, which has the course's sources.

    Raises:
        CourseError: the package was installed from a wheel, as learners have it.
    """
    root = Path(dlcourse.__file__).resolve().parent.parent
    if not (root / "source").is_dir() or not (root / CONFIG_NAME).is_file():
        raise CourseError(
            "This installation of dlcourse has no course sources: it is the learners' package. "
            "Run `course new` from a checkout of the course's repository, after `make setup`."
        )
    return root


def new(target: Path) -> Course:
    """Make a course directory with the assignments' sources, the configuration and an empty gradebook.

    Raises:
        CourseError: ``target`` holds something already.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CourseError(f"{target} exists and is not empty. Name a new directory.")
    origin = checkout()
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(origin / CONFIG_NAME, target)
    ignore = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
    shutil.copytree(origin / "source", target / "source", ignore=ignore)
    if (origin / "tests" / "audit").is_dir():
        shutil.copytree(origin / "tests" / "audit", target / "tests" / "audit", ignore=ignore)
    (target / "submitted").mkdir()
    course = Course(target)
    with course.gradebook():
        pass
    return course
