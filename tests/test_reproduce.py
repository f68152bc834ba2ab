"""``course grade --debug``: one submission again, without recording it, with a kernel that can be talked to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
from jupyter_client import BlockingKernelClient
from test_grade import WRONG, command

from dlcourse.course import Course
from dlcourse.grading.grade import grade
from dlcourse.grading.reproduce import reproduce

HandIn = Callable[..., Path]


def test_one_submission_again_with_its_kernel(course: Course, hand_in: HandIn) -> None:
    """The points beside those recorded, the executed notebook, a log, and Jupyter's own client in the same kernel."""
    hand_in("wrong", q1_mean=WRONG)
    grade(course, "tiny")
    hand_in("wrong")
    said: list[str] = []

    def look(connection: Path) -> None:
        client = BlockingKernelClient(connection_file=str(connection))
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=20)
        reply = client.execute_interactive(
            "print(mean(__import__('numpy').array([1.0, 3.0])))",
            timeout=20,
            output_hook=lambda message: said.append(message["content"].get("text", "")),
        )
        client.stop_channels()
        assert reply["content"]["status"] == "ok"

    folder, found = reproduce(course, "tiny", "wrong", sandboxed="bubblewrap", keep_open=look)
    assert "2.0\n" in said
    assert [(one.grade_id, one.recorded, one.score) for one in found] == [
        ("q1_mean_test", 0, 3),
        ("q2_centre_test", 2, 2),
    ]
    kept = nbformat.read(folder / "sums.ipynb", as_version=4)
    assert kept.metadata.dlcourse.cause is None
    assert {one["grade_id"] for one in json.loads((folder / "sums.json").read_text())} == {
        one.grade_id for one in found
    }
    assert "def mean(x: np.ndarray) -> float:  ok" in (folder / "sums.log").read_text()
    assert list(folder.glob("*.kernel.json")) == []
    with course.gradebook() as gradebook:
        assert gradebook.find_grade("q1_mean_test", "sums", "tiny", "wrong").auto_score == 0


def test_the_command_needs_a_student(course: Course, hand_in: HandIn) -> None:
    """Without --student it says what is missing; with it, it prints the table and names the folder."""
    hand_in("wrong", q1_mean=WRONG)
    refused = command(course, "grade", "tiny", "--debug")
    assert refused.exit_code == 1
    assert "--student" in refused.stderr
    ended = command(course, "grade", "tiny", "--debug", "--student", "wrong", "--sandbox", "bubblewrap")
    assert ended.exit_code == 0, ended.output
    assert "q1_mean_test" in ended.stdout
    assert "debug/tiny/wrong" in ended.stdout.replace("\n", "")
