"""Bad input: each mistake gives one clear message and the right exit code, and costs no other submission."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import nbformat
import pytest

from dlcourse.cli import main
from dlcourse.course import Course
from dlcourse.grading import grade as engine

COMMAND = str(Path(sys.executable).parent / "course")


@pytest.fixture
def command(course: Course, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run ``course grade`` in the tiny course: exit code, output, messages."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["-C", str(course.root), "grade", *arguments])
        code = ended.value.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code if isinstance(code, int) else 0, out, err

    return run


def sound(course: Course) -> bool:
    """Whether the gradebook is whole."""
    with sqlite3.connect(course.root / "gradebook.db") as database:
        answer = database.execute("pragma integrity_check").fetchone()
    database.close()
    return answer == ("ok",)


def folder(course: Course, student: str) -> Path:
    """A new folder for what a student hands in."""
    path = course.root / "submitted" / student / "tiny"
    path.mkdir(parents=True)
    return path


def test_a_class_of_bad_submissions(course: Course, hand_in: Callable[..., Path], tmp_path: Path, command) -> None:
    """Everything that is odd about a folder or a file costs that student alone; the class is graded around it."""
    hand_in("ada")
    extra = hand_in("extra").parent
    for name in ("Sums.ipynb", "other.ipynb"):
        shutil.copy(extra / "sums.ipynb", extra / name)
    secret = tmp_path / "secret.txt"
    secret.write_text("the grader's own")
    (extra / "link[1].txt").symlink_to(secret)
    (extra / "in[ner]").mkdir()
    (extra / "in[ner]" / "link.txt").symlink_to(secret)
    os.mkfifo(extra / "in[ner]" / "pipe")
    (extra / "data.txt").write_text("data")

    folder(course, "empty")
    (folder(course, "renamed") / "homework.ipynb").write_bytes((extra / "sums.ipynb").read_bytes())
    (folder(course, "folder") / "sums.ipynb").mkdir()
    os.mkfifo(folder(course, "pipe") / "sums.ipynb")
    (folder(course, "link") / "sums.ipynb").symlink_to(extra / "sums.ipynb")
    (folder(course, "huge") / "sums.ipynb").touch()
    os.truncate(course.root / "submitted" / "huge" / "tiny" / "sums.ipynb", 200 * 2**20)
    (folder(course, "text") / "sums.ipynb").write_text("not a notebook")
    (course.root / "submitted" / "whole-link").mkdir()
    (course.root / "submitted" / "whole-link" / "tiny").symlink_to(course.root / "source" / "tiny")
    odd = ["new\nline", "a b", "[x]", "..b", "a*"]
    for name in odd:
        hand_in(name)

    code, out, err = command("tiny", "--json", str(tmp_path / "report.json"))
    report = json.loads((tmp_path / "report.json").read_text())
    results = {one["student"]: one for one in report["submissions"]}
    assert code == 1
    assert set(report["failed"]) == {*odd, "whole-link"}
    assert "links are not followed" in report["failed"]["whole-link"]
    assert all("letters, digits" in report["failed"][name] for name in odd)
    assert r"'new\nline' was not graded" in err
    assert results["ada"]["score"] == results["extra"]["score"] == 5
    assert results["ada"]["repairs"] == []
    assert results["extra"]["repairs"] == [
        f"{name}.ipynb is not part of tiny and was left out" for name in ("Sums", "other")
    ]
    unreadable = ["folder", "huge", "link", "pipe", "text"]
    assert {name: (one["score"], one["cause"]) for name, one in results.items() if name not in ("ada", "extra")} == {
        "empty": (0, "not_submitted"),
        "renamed": (0, "not_submitted"),
        **dict.fromkeys(unreadable, (0, "unreadable")),
    }
    assert "homework.ipynb is not part of tiny and was left out" in results["renamed"]["repairs"]
    assert "ada" in out
    assert sound(course)
    copied = course.path("autograded", "tiny", "extra")
    assert (copied / "data.txt").read_text() == "data"
    for step in ("autograded", "feedback"):
        for path in course.path(step, "tiny", "extra").rglob("*"):
            assert path.is_dir() or b"the grader's own" not in path.read_bytes()
    code, out, err = command("tiny", "--student", "whole-link")
    assert code == 1
    assert "links are not followed" in err


def test_a_folder_without_its_notebook_loses_its_old_grade(course: Course, hand_in, command) -> None:
    """A notebook taken back and graded again: zero, and no page of the old grade stays."""
    path = hand_in("ada")
    engine.grade(course, "tiny", sandboxed="none")
    path.unlink()
    code, out, _ = command("tiny", "--json", str(course.root / "report.json"))
    one = json.loads((course.root / "report.json").read_text())["submissions"][0]
    assert (code, one["score"], one["cause"]) == (0, 0, "not_submitted")
    assert not course.path("feedback", "tiny", "ada").exists()
    assert "not_submitted" in out


def break_config(course: Course) -> None:
    (course.root / "nbgrader_config.py").write_text("c = (")


def binary_config(course: Course) -> None:
    (course.root / "nbgrader_config.py").write_bytes(bytes(range(256)))


def no_config(course: Course) -> None:
    (course.root / "nbgrader_config.py").unlink()


def break_gradebook(course: Course) -> None:
    (course.root / "gradebook.db").write_bytes(bytes(range(256)) * 40)


def empty_gradebook(course: Course) -> None:
    (course.root / "gradebook.db").write_bytes(b"")


def stale_key(course: Course) -> None:
    path = course.path("source", "tiny") / "sums.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source += "\n# changed"
    nbformat.write(notebook, path)


def no_key(course: Course) -> None:
    shutil.rmtree(course.path("source", "tiny") / "reference")


def no_release(course: Course) -> None:
    shutil.rmtree(course.root / "release")


def broken_release(course: Course) -> None:
    path = course.path("release", "tiny") / "sums.ipynb"
    path.chmod(0o644)
    path.write_text("{")


def no_submissions(course: Course) -> None:
    shutil.rmtree(course.root / "submitted")


def file_for_folder(course: Course) -> None:
    shutil.rmtree(course.root / "autograded", ignore_errors=True)
    (course.root / "autograded").write_text("")


WRONG: dict[Callable[[Course], None], str] = {
    break_config: "nbgrader_config.py does not load",
    binary_config: "nbgrader_config.py does not load",
    no_config: "is not a course directory",
    break_gradebook: "Restore it from a backup",
    empty_gradebook: "has not been released. Run `course build tiny`",
    stale_key: "changed after its references were recorded. Run `course build tiny`",
    no_key: "tiny has not been built. Run `course build tiny`",
    no_release: "has not been released. Run `course build tiny`",
    broken_release: "is not a notebook any more. Run `course build tiny`",
    no_submissions: "Nobody has handed in tiny: submissions are expected in",
    file_for_folder: "autograded is no folder. Move it away",
}


@pytest.mark.parametrize("mistake", WRONG, ids=lambda mistake: mistake.__name__)
def test_a_mistake_in_the_course_is_named_before_anything_runs(mistake, course: Course, hand_in, command) -> None:
    """What is wrong, where and what to do; exit code 1, nobody graded."""
    hand_in("ada")
    mistake(course)
    code, out, err = command("tiny")
    assert code == 1
    assert WRONG[mistake] in err
    assert out.strip() == ""
    assert not (course.root / "feedback" / "ada").exists()


def test_names_that_do_not_exist_are_answered_with_the_nearest(course: Course, hand_in, command) -> None:
    """An unknown assignment and an unknown student."""
    hand_in("ada")
    assert command("tyni")[::2] == (1, command("tyni")[2])
    assert "There is no assignment 'tyni'" in command("tyni")[2]
    code, _, err = command("tiny", "--student", "adb")
    assert code == 1
    assert "'adb' has handed in nothing for tiny. Did you mean 'ada'?" in err


def test_a_course_in_a_folder_with_brackets_is_refused(course: Course, tmp_path: Path) -> None:
    """nbgrader would take the folder's name for a pattern and could read another course's submissions."""
    shutil.copytree(course.root, tmp_path / "cours[e]")
    with pytest.raises(Exception, match="Rename the directory"):
        Course(tmp_path / "cours[e]")


def test_without_bubblewrap_nothing_runs(course: Course, hand_in, command, monkeypatch, tmp_path: Path) -> None:
    """No sandbox: refused before anything runs, with the line to install it; ``--sandbox none`` warns and runs."""
    hand_in("ada")
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = command("tiny")
    assert code == 1
    assert "sudo apt-get install bubblewrap" in err
    assert not (course.root / "autograded" / "ada").exists()
    code, out, err = command("tiny", "--sandbox", "none")
    assert code == 0
    assert "Warning: submissions run without a sandbox" in err
    assert "ada" in out


def test_two_runs_at_once(course: Course, hand_in, command) -> None:
    """The second run is told to wait."""
    hand_in("ada")
    with filelock.FileLock(course.root / ".grading.lock"):
        code, _, err = command("tiny")
    assert code == 1
    assert "Another grading run is at work" in err


def test_a_full_disk_costs_no_finished_grade(course: Course, hand_in, command, monkeypatch) -> None:
    """A write that fails names the student and the reason; the others are graded and the gradebook stays whole."""
    hand_in("ada", q1_mean=None)
    hand_in("bob")
    from nbconvert.writers import FilesWriter

    write = FilesWriter.write

    def full(self: FilesWriter, output: str, *arguments: Any, **named: Any) -> Any:
        if "bob" in self.build_directory:
            raise OSError(errno.ENOSPC, "No space left on device", self.build_directory)
        return write(self, output, *arguments, **named)

    monkeypatch.setattr(FilesWriter, "write", full)
    code, out, err = command("tiny", "--sandbox", "none")
    assert code == 1
    assert "'bob' was not graded: OSError: [Errno 28] No space left on device" in " ".join(err.split())
    assert "run the command again" in err
    assert "ada" in out
    assert sound(course)
    monkeypatch.setattr(FilesWriter, "write", write)
    result = engine.grade(course, "tiny", sandboxed="none")
    assert [(one.student, one.skipped) for one in result.submissions] == [("ada", True), ("bob", False)]


def test_a_limit_on_file_size_is_told(course: Course, hand_in) -> None:
    """The system refuses a write in the middle of a run: a message, exit code 1, a whole gradebook."""
    hand_in("ada")
    ended = subprocess.run(
        [COMMAND, "grade", "tiny", "--sandbox", "none"],
        cwd=course.root,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "When that is mended, run the command again" in ended.stderr
    assert sound(course)


def wait_for(path: Path, seconds: float = 60) -> None:
    """Wait until a file is there."""
    begin = time.monotonic()
    while not path.exists():
        assert time.monotonic() - begin < seconds, path
        time.sleep(0.05)


def test_ctrl_c_between_two_students(course: Course, hand_in, tmp_path: Path) -> None:
    """Ctrl-C: exit code 130, the first grade is kept, nothing of the second, and the next run goes on from there."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    hand_in("ada")
    hand_in("bob", q1_mean=f"open({str(pipe)!r}, 'w').write('here')\nwhile True: pass")
    process = subprocess.Popen(
        [COMMAND, "grade", "tiny", "--sandbox", "none"], cwd=course.root, stderr=subprocess.PIPE, text=True
    )
    assert pipe.read_text() == "here"  # waits until the second student's notebook runs
    wait_for(course.path("feedback", "tiny", "ada") / ".graded")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped. What was finished is kept" in err
    assert "Traceback" not in err
    assert sound(course)
    assert not course.path("autograded", "tiny", "bob").exists()
    hand_in("bob")
    result = engine.grade(course, "tiny", sandboxed="none")
    assert [(one.student, one.score, one.skipped) for one in result.submissions] == [
        ("ada", 5, True),
        ("bob", 5, False),
    ]
    assert result.failed == {}
