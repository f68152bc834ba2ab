"""Fixtures: a tiny course of three questions, quick to build and grade, and the repository's own course."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
import torch

from dlcourse.build import build
from dlcourse.course import Course

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "tests" / "files"


@pytest.fixture(autouse=True)
def _learner_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks behave as in a learner's notebook unless a test says otherwise."""
    monkeypatch.delenv("DLCOURSE_CHECK", raising=False)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small networks are slower with several threads, much slower where processes of tests share the processors."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny course, built once. Do not change it: take ``course``."""
    path = tmp_path_factory.mktemp("built") / "course"
    shutil.copytree(FILES / "course", path)
    shutil.copy(ROOT / "nbgrader_config.py", path)
    build(Course(path), "tiny")
    return path


@pytest.fixture
def course(built: Path, tmp_path: Path) -> Course:
    """A copy of the tiny course, built, without submissions."""
    path = tmp_path / "course"
    shutil.copytree(built, path)
    return Course(path)


@pytest.fixture(scope="session")
def tiny_solutions(built: Path) -> dict[str, str]:
    """The solution of each cell of the tiny notebook, by grade_id."""
    source = nbformat.read(built / "source" / "tiny" / "sums.ipynb", as_version=4)
    cells = [c for c in source.cells if c.metadata.get("nbgrader", {}).get("solution")]
    return {c.metadata.nbgrader.grade_id: c.source for c in cells}


@pytest.fixture
def hand_in(course: Course, tiny_solutions: dict[str, str]) -> Callable[..., Path]:
    """Hand in the tiny notebook: ``hand_in(student, q1_mean="…")``; the rest is solved, None leaves the stub."""
    release = nbformat.read(course.path("release", "tiny") / "sums.ipynb", as_version=4)

    def put(student: str, **answers: str | None) -> Path:
        notebook = copy.deepcopy(release)
        for cell in notebook.cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            text = answers.get(grade_id, tiny_solutions.get(grade_id))
            if text is not None:
                cell.source = text
        path = course.root / "submitted" / student / "tiny" / "sums.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return put


@pytest.fixture
def finish() -> Callable[[Path], Path]:
    """Leave a notebook as a person does who names collaborators and runs all cells."""

    def leave(path: Path) -> Path:
        notebook = nbformat.read(path, as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for count, cell in enumerate(code, 1):
            cell.execution_count = count
            cell.outputs = [nbformat.v4.new_output("stream", text="3.0\n")]
        names = next(cell for cell in notebook.cells if cell.id == "collaborators")
        names.source = names.source.replace("YOUR COLLABORATORS HERE", "none")
        nbformat.write(notebook, path)
        return path

    return leave


@pytest.fixture
def in_directory(course: Course) -> Iterator[Path]:
    """Work inside the tiny course, as a person does."""
    before = Path.cwd()
    os.chdir(course.root)
    yield course.root
    os.chdir(before)
