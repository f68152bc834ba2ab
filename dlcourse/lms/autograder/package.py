"""Pack an assignment's autograder: the ZIP that is uploaded to a Gradescope programming assignment.

It holds no solution: of the source only the statements of test cells and the recorded references are taken along, in a
folder that the container shows to root alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

import dlcourse
from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.grading.key import AnswerKey, Statement, is_test, read_reference
from dlcourse.lms.wheel import requirements, wheel
from dlcourse.zips import write_zip

FOLDER = "grading"  # in the archive: answer keys, releases and data
SCRIPTS = ("setup.sh", "run_autograder")


@dataclass(frozen=True)
class Packed:
    """What was packed: the file names, the points that the autograder gives, and those that people give."""

    files: tuple[str, ...]
    points: float
    by_hand: float


def export_autograder(course: Course, assignment: str, target: Path) -> Packed:
    """Write the ZIP of an assignment's autograder.

    Raises:
        CourseError: the assignment was not built since its source changed, or the lock is missing.
    """
    files: dict[str, bytes] = {}
    points = by_hand = 0.0
    for name in course.notebooks(assignment):
        path = course.path("release", assignment) / f"{name}.ipynb"
        files[f"{FOLDER}/{name}.json"] = _key(course, assignment, name)
        if not path.is_file():
            raise CourseError(f"{path} is missing. Run `course build {assignment}`.")
        files[f"{FOLDER}/{name}.ipynb"] = path.read_bytes()
        for cell in nbformat.read(path, as_version=4).cells:
            worth = float(cell.metadata.get("nbgrader", {}).get("points") or 0)
            points, by_hand = (points + worth, by_hand) if is_test(cell) else (points, by_hand + worth)
    for path, inside in _data(course, assignment):
        files[f"{FOLDER}/data/{inside}"] = path.read_bytes()
    name, content = wheel(learner=False)
    files[name] = content
    files["requirements.lock"] = pinned().encode()
    for script in SCRIPTS:
        files[script] = (Path(__file__).parent / "files" / script).read_bytes()
    write_zip(target, {one: files[one] for one in sorted(files)}, executable=SCRIPTS)
    return Packed(tuple(sorted(files)), points, by_hand)


def read_key(path: Path) -> AnswerKey:
    """The answer key of a notebook, as it was packed."""
    packed = json.loads(path.read_text("utf-8"))
    statements = {g: [Statement(*one) for one in cell] for g, cell in packed["statements"].items()}
    references = {g: {label: read_reference(one) for label, one in c.items()} for g, c in packed["cells"].items()}
    return AnswerKey(statements, references, packed["fingerprint"])


def pinned() -> str:
    """The lines of requirements.lock, with hashes, for what the package needs; developers' tools are left out.

    Raises:
        CourseError: this installation has no lock.
    """
    package = Path(dlcourse.__file__).resolve().parent
    path = next((p for p in (package / "requirements.lock", package.parent / "requirements.lock") if p.is_file()), None)
    if path is None:
        raise CourseError("This installation has no requirements.lock. Export from a checkout of the repository.")
    blocks = re.findall(r"^(([A-Za-z0-9_.-]+)==.*\n(?:[ ]+.*\n)+)", path.read_text("utf-8"), re.MULTILINE)
    asked_by = {name: set(re.findall(r"# (?:via |  )([A-Za-z0-9_.-]+)$", text, re.MULTILINE)) for text, name in blocks}
    wanted = {_plain(re.split(r"[^A-Za-z0-9._-]", text)[0]) for text in requirements()}
    while more := {n for n, by in asked_by.items() if _plain(n) not in wanted and {_plain(b) for b in by} & wanted}:
        wanted |= {_plain(name) for name in more}
    lines = [line for text, name in blocks if _plain(name) in wanted for line in text.splitlines() if "# " not in line]
    return "\n".join(["# From requirements.lock.", *lines, ""])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _key(course: Course, assignment: str, name: str) -> bytes:
    key = AnswerKey.load(course, assignment, name)
    recorded: dict[str, Any] = json.loads(AnswerKey.path(course, assignment, name).read_text("utf-8"))
    packed = {
        "fingerprint": key.fingerprint,
        "statements": {g: [[s.source, s.hidden] for s in cell] for g, cell in key.statements.items()},
        "cells": recorded["cells"],
    }
    return json.dumps(packed, ensure_ascii=False, allow_nan=False).encode()


def _data(course: Course, assignment: str) -> list[tuple[Path, str]]:
    """What lies beside the notebooks of the release, with its place there."""
    release = course.path("release", assignment)
    inside = [(path, path.relative_to(release)) for path in sorted(release.rglob("*"))]
    return [
        (path, place.as_posix())
        for path, place in inside
        if path.is_file() and not path.is_symlink() and path.suffix != ".ipynb" and not place.name.startswith(".")
    ]
