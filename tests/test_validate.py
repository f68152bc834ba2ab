"""``course check``: what a learner hears about a notebook before handing it in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result

from dlcourse.cli import main

HandIn = Callable[..., Path]


def check(path: Path) -> Result:
    ended = CliRunner().invoke(main, ["check", str(path)])
    assert "Traceback" not in ended.output
    return ended


def test_full_marks(hand_in: HandIn, finish: Callable[[Path], Path]) -> None:
    """Every visible check passes and no rule is broken: ticks, exit code 0."""
    ended = check(finish(hand_in("full")))
    assert ended.exit_code == 0, ended.output
    assert "✓ Question 1: The mean (q1_mean_test)" in ended.stdout
    assert "answered; graded by hand" in ended.stdout
    assert "no rule is broken" in ended.stdout


def test_wrong(hand_in: HandIn) -> None:
    """A wrong answer is diagnosed with expected, got and the hint; exit code 1."""
    ended = check(hand_in("wrong", q1_mean="def mean(x):\n    return x.sum() / (len(x) - 1)"))
    assert ended.exit_code == 1
    said = " ".join(ended.stdout.split())
    assert "✗ Question 1: The mean (q1_mean_test) mean of three: wrong value" in said
    assert "expected 3, got 4.5" in said
    assert "hint: divide by the number of elements" in said
    assert "✗ Question 2" not in said


def test_blank(hand_in: HandIn) -> None:
    """What was not touched is named, the answer in words too."""
    ended = check(hand_in("blank", q1_mean=None, q2_centre=None, q3_words=None))
    assert ended.exit_code == 1
    assert "NotImplementedError: Question 1: The mean" in ended.stdout
    assert "Question 3: In words (q3_words): no answer yet" in ended.stdout


def test_locked_cell_changed(hand_in: HandIn) -> None:
    """An edited test cell is named, even if everything passes."""
    path = hand_in("tampered")
    notebook = nbformat.read(path, as_version=4)
    next(cell for cell in notebook.cells if cell.id == "q1_mean_test").source = "pass"
    nbformat.write(notebook, path)
    ended = check(path)
    assert ended.exit_code == 1
    assert "q1_mean_test: this cell is locked but was changed" in ended.stderr


def test_duplicate_cells(hand_in: HandIn) -> None:
    """A graded cell that was copied is named."""
    path = hand_in("double")
    notebook = nbformat.read(path, as_version=4)
    copied = next(cell for cell in notebook.cells if cell.id == "q1_mean_test").copy()
    copied["id"] = "another"
    notebook.cells.append(copied)
    nbformat.write(notebook, path)
    ended = check(path)
    assert ended.exit_code == 1
    assert "exist twice" in ended.stderr
    assert "q1_mean_test" in ended.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{nope", "not JSON"),
        ("[]", "not a notebook"),
        ('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "no graded cells"),
    ],
)
def test_no_notebook_of_the_course(tmp_path: Path, content: str, words: str) -> None:
    """A file that is no notebook of the course gets one sentence."""
    path = tmp_path / "sums.ipynb"
    path.write_text(content, "utf-8")
    ended = check(path)
    assert ended.exit_code == 1
    assert words in ended.stderr


def test_missing_file(tmp_path: Path) -> None:
    """A file that does not exist is named."""
    assert "No such file" in check(tmp_path / "sums.ipynb").stderr
