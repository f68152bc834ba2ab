"""``course new``: a fresh course directory that can be built and graded at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import dlcourse.new
from dlcourse.cli import main
from dlcourse.course import Course


def test_makes_a_course(tmp_path: Path) -> None:
    """The directory has the assignments, the configuration and an empty gradebook; the command says what comes next."""
    target = tmp_path / "mine"
    ended = CliRunner().invoke(main, ["new", str(target)])
    assert ended.exit_code == 0, ended.output
    assert "course build" in ended.stdout
    assert {p.name for p in target.iterdir()} == {"source", "submitted", "tests", "nbgrader_config.py", "gradebook.db"}
    course = Course(target)
    assert course.assignments() == Course(Path(__file__).resolve().parent.parent).assignments()
    with course.gradebook() as gradebook:
        assert (gradebook.assignments, gradebook.students) == ([], [])


def test_unreleased_assignment(tmp_path: Path) -> None:
    """Grading before building says which command is missing."""
    target = tmp_path / "mine"
    CliRunner().invoke(main, ["new", str(target)])
    (target / "submitted" / "ada" / "ps6_rnn").mkdir(parents=True)
    ended = CliRunner().invoke(main, ["-C", str(target), "grade", "ps6_rnn"])
    assert ended.exit_code == 1
    assert "course build ps6_rnn" in ended.stderr.replace("\n", " ")


def test_keeps_what_is_there(tmp_path: Path) -> None:
    """A directory that holds something is left alone."""
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    ended = CliRunner().invoke(main, ["new", str(tmp_path)])
    assert ended.exit_code == 1
    assert "is not empty" in ended.stderr.replace("\n", " ")
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_learners_package_has_no_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed from a wheel there is nothing to copy, and the message says where there is."""
    package = tmp_path / "site-packages" / "dlcourse"
    package.mkdir(parents=True)
    monkeypatch.setattr(dlcourse.new.dlcourse, "__file__", str(package / "__init__.py"))
    ended = CliRunner().invoke(main, ["new", str(tmp_path / "mine")])
    assert ended.exit_code == 1
    assert "checkout" in ended.stderr
    assert not (tmp_path / "mine").exists()
