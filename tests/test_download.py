"""``course export students``: what a learner unpacks works on a bare Python, and holds no solution and no judge."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell

from dlcourse.build.lint import leaks
from dlcourse.cli import main
from dlcourse.course import Course
from dlcourse.grading.grade import grade
from dlcourse.handin.sheet import FIRST_CELL
from dlcourse.lms.wheel import package_files, wheel

HandIn = Callable[..., Path]


@pytest.fixture
def unpacked(course: Course, tmp_path: Path) -> Path:
    """The download of the tiny assignment, with a data file, unpacked."""
    (course.path("release", "tiny") / "data").mkdir()
    (course.path("release", "tiny") / "data" / "numbers.txt").write_text("1 2 6\n")
    archive = tmp_path / "tiny.zip"
    ended = CliRunner().invoke(main, ["-C", str(course.root), "export", "students", "tiny", "-o", str(archive)])
    assert ended.exit_code == 0, ended.output
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    return tmp_path / "tiny"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh Python with pip and with what the course depends on, but without the course; no network."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "virtualenv", "-q", "--no-download", str(folder)], check=True)
    packages = next((folder / "lib").glob("python3*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def run(bare: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the fresh Python in a folder, where pip can reach nothing."""
    environment = {"PATH": f"{bare}:/usr/bin:/bin", "HOME": str(folder), "PIP_NO_INDEX": "1", "LANG": "C.UTF-8"}
    return subprocess.run(
        [str(bare / command[0]), *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_download_installs_and_checks(unpacked: Path, bare: Path) -> None:
    """The first cell says what is missing and installs the wheel, in Colab and elsewhere; then the checks run."""
    cell = nbformat.read(unpacked / "sums.ipynb", as_version=4).cells[0]
    assert (cell.cell_type, cell.id) == ("code", FIRST_CELL)
    script = unpacked / "cell.py"
    script.write_text("import sys, types\nsys.modules['google.colab'] = types.ModuleType('colab')\n" + cell.source)
    (name,) = [path.name for path in unpacked.glob("*.whl")]
    (unpacked / name).rename(unpacked / "elsewhere")
    missing = run(bare, unpacked, "python", str(script))
    assert f"Put {name} beside this notebook" in missing.stderr
    (unpacked / "elsewhere").rename(unpacked / name)
    installed = run(bare, unpacked, "python", str(script))
    assert installed.stdout == f"Installed {name}.\n", installed.stderr
    assert run(bare, unpacked, "python", str(script)).stdout == ""
    script.write_text(cell.source)
    (bare.parent / "bin" / "course").unlink()
    shutil.rmtree(next(bare.parent.glob("lib/python3*/site-packages/dlcourse")))
    shutil.rmtree(next(bare.parent.glob("lib/python3*/site-packages/dlcourse-*.dist-info")))
    assert run(bare, unpacked, "python", str(script)).stdout == f"Installed {name}.\n"
    checked = run(bare, unpacked, "course", "check", "sums.ipynb")
    assert checked.returncode == 1
    assert "✗ Question 1: The mean" in checked.stdout, checked.stdout + checked.stderr
    assert "NotImplementedError" in checked.stdout
    for command in (["build"], ["grade", "tiny"], ["collect", ".", "--from", "folder"], ["export", "csv"]):
        (unpacked / "nbgrader_config.py").write_text("c = get_config()")
        (unpacked / "source" / "tiny").mkdir(parents=True, exist_ok=True)
        shutil.copy(unpacked / "sums.ipynb", unpacked / "source" / "tiny")
        refused = run(bare, unpacked, "course", *command).stderr
        assert "learners' part" in " ".join(refused.split()), refused
        assert "Traceback" not in refused
    assert run(bare, unpacked, "course", "pdf", "sums.ipynb").returncode == 0
    assert "+learner" in run(bare, unpacked, "course", "--version").stdout


def test_the_download_holds_no_solution_and_no_judge(unpacked: Path, course: Course) -> None:
    """Neither the notebooks nor the wheel show what is graded; the data and the instructions are there."""
    source = nbformat.read(course.path("source", "tiny") / "sums.ipynb", as_version=4)
    assert leaks(source, nbformat.read(unpacked / "sums.ipynb", as_version=4)) == []
    assert (unpacked / "data" / "numbers.txt").read_text() == "1 2 6\n"
    text = (unpacked / "requirements.txt").read_text("utf-8")
    assert "\ntorch>=2" in text
    assert "==" not in text.replace("nbgrader==", "")
    assert "course check sums.ipynb" in (unpacked / "README.md").read_text("utf-8")
    with zipfile.ZipFile(next(unpacked.glob("*.whl"))) as opened:
        names = set(opened.namelist())
        assert opened.testzip() is None
    assert {"dlcourse/check.py", "dlcourse/grading/run.py"} <= names
    assert not {name for name in names if "judge" in name or "audit" in name or "reference" in name}


def test_the_learners_part_is_whole() -> None:
    """No module of the learners' part imports, when it is loaded, one that is left out."""
    there = package_files(learner=True)
    left_out = {name.removesuffix(".py").replace("/", ".") for name in package_files(learner=False)} - {
        name.removesuffix(".py").replace("/", ".") for name in there
    }
    assert "grading.judge" in left_out
    for name, content in there.items():
        if name.endswith(".py"):
            for node in ast.parse(content).body:
                asked = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                asked += [f"{node.module}.{a.name}" for a in node.names] if isinstance(node, ast.ImportFrom) else []
                missing = {one.removeprefix("dlcourse.") for one in asked} & left_out
                assert not missing, f"{name} imports {missing}"


def test_wheels_are_the_same_bytes_each_time() -> None:
    """Learners who compare downloads, and caches, see one file; the whole package differs in name."""
    assert wheel(learner=True) == wheel(learner=True)
    assert wheel(learner=False)[0] != wheel(learner=True)[0]


def test_the_first_cell_costs_nothing(course: Course, hand_in: HandIn, unpacked: Path) -> None:
    """Handed in with the first cell, a solved notebook keeps full marks, and nothing had to be repaired."""
    path = hand_in("with_cell")
    notebook = nbformat.read(path, as_version=4)
    first = nbformat.read(unpacked / "sums.ipynb", as_version=4).cells[0]
    notebook.cells.insert(0, new_code_cell(first.source, id=first.id))
    nbformat.write(notebook, path)
    shutil.copy(next(unpacked.glob("*.whl")), path.parent)
    (one,) = grade(course, "tiny").submissions
    assert (one.score, one.cause, one.repairs) == (5, None, [])


def test_a_stale_release_is_not_given_out(course: Course, tmp_path: Path) -> None:
    """A source that changed after it was built, and a release that shows a solution, are refused by name."""

    def refusal() -> str:
        ended = CliRunner().invoke(main, ["-C", str(course.root), "export", "students", "tiny", "-o", str(target)])
        assert (ended.exit_code, target.exists()) == (1, False)
        return ended.output.replace("\n", " ")

    target = tmp_path / "tiny.zip"
    release, source = (course.path(step, "tiny") / "sums.ipynb" for step in ("release", "source"))
    built = release.read_bytes()
    shutil.copy(source, release)
    assert "BEGIN SOLUTION" in refusal()
    release.write_bytes(built)
    content = json.loads(source.read_text("utf-8"))
    content["cells"].pop()
    source.write_text(json.dumps(content), "utf-8")
    assert "course build tiny" in refusal()
    assert not os.path.lexists(f"{target}.part")
