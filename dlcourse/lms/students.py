"""What a learner downloads: the release with a first cell that installs the package, the package, data, a README."""

from __future__ import annotations

import string
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell

from dlcourse.build.lint import leaks
from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.grading.key import AnswerKey
from dlcourse.handin.sheet import FIRST_CELL
from dlcourse.lms.wheel import requirements, wheel
from dlcourse.zips import write_zip

_HERE = Path(__file__).parent


def export_students(course: Course, assignment: str, target: Path) -> list[str]:
    """Write one ZIP with everything that a learner needs for an assignment.

    Returns:
        The names of its files.

    Raises:
        CourseError: the assignment was not built since its source changed, or its release shows what it must not.
    """
    notebooks = course.notebooks(assignment)
    release = course.path("release", assignment)
    name, content = wheel(learner=True)
    files: dict[str, bytes] = {}
    for path in sorted(release.rglob("*")):
        inside = path.relative_to(release)
        if path.is_symlink() or not path.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        if path.suffix == ".ipynb" and path.parent == release and path.stem not in notebooks:
            raise CourseError(f"{path} has no source any more. Delete it, or run `course build {assignment}`.")
        files[inside.as_posix()] = path.read_bytes()
    for notebook in notebooks:
        files[f"{notebook}.ipynb"] = _with_first_cell(course, assignment, notebook, name).encode()
    files[name] = content
    files["requirements.txt"] = _filled("requirements.txt", requirements="\n".join(requirements()), wheel=name)
    files["README.md"] = _filled("README.md", assignment=assignment, wheel=name, notebook=f"{notebooks[0]}.ipynb")
    write_zip(target, {f"{assignment}/{inside}": files[inside] for inside in sorted(files)})
    return sorted(files)


def first_cell(wheel_name: str) -> str:
    """The code of the cell that installs the package where it is missing."""
    return _filled("first_cell.py", wheel=wheel_name).decode().rstrip()


def _with_first_cell(course: Course, assignment: str, notebook: str, wheel_name: str) -> str:
    AnswerKey.load(course, assignment, notebook)  # refuses what was not built since the source changed
    path = course.path("release", assignment) / f"{notebook}.ipynb"
    if not path.is_file():
        raise CourseError(f"{path} is missing. Run `course build {assignment}`.")
    release = nbformat.read(path, as_version=4)
    source = nbformat.read(course.path("source", assignment) / path.name, as_version=4)
    if found := leaks(source, release):
        raise CourseError(f"{path} was not exported:\n  " + "\n  ".join(found))
    release.cells.insert(0, new_code_cell(first_cell(wheel_name), id=FIRST_CELL))
    return nbformat.writes(release) + "\n"


def _filled(template: str, **values: str) -> bytes:
    text = (_HERE / "download" / template).read_text("utf-8")
    return string.Template(text).substitute(values).encode()
