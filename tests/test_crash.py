"""A run that is killed, or loses a worker, loses nothing that was graded and corrupts nothing."""

from __future__ import annotations

import multiprocessing.forkserver
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from test_run import children

from dlcourse.course import Course
from dlcourse.grading import warm
from dlcourse.grading.grade import grade

HandIn = Callable[..., Path]
KILLS = 50
STUDENTS = {
    "blank": {"q1_mean": None, "q2_centre": None},
    "full": {},
    "dies": {"q2_centre": "def centre(x):\n    import os\n    os._exit(1)"},
    "late": {"q1_mean": "import time\ntime.sleep(0.5)\ndef mean(x):\n    return x.sum() / len(x)"},
    "wrong": {"q1_mean": "def mean(x):\n    return x.sum() / (len(x) - 1)"},
}
# Runs of the class, each killed after a time of its own. They are forked from one process that has imported everything,
# and share one fork server: otherwise most of the time would go into imports.
KILLER = """
import os, signal, sys, time
from pathlib import Path
from dlcourse.course import Course
from dlcourse.grading.grade import grade

root, seconds = Path(sys.argv[1]), [float(text) for text in sys.argv[2:]]
for limit in seconds:
    pid = os.fork()
    if pid == 0:
        grade(Course(root), "tiny", force=True, workers=2, sandboxed="bubblewrap")
        os._exit(0)
    time.sleep(limit)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


def grades(course: Course) -> list[tuple[object, ...]]:
    """Every grade in the gradebook, without keys that depend on the order of events."""
    with sqlite3.connect(course.root / "gradebook.db") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        return database.execute(
            "select s.student_id, c.name, g.auto_score, g.manual_score, g.needs_manual_grade, g.extra_credit"
            " from grade g join submitted_notebook n on g.notebook_id = n.id"
            " join submitted_assignment s on n.assignment_id = s.id join base_cell c on g.cell_id = c.id"
            " order by s.student_id, c.name"
        ).fetchall()


def stored(course: Course) -> dict[str, bytes]:
    """What the run wrote for people to read."""
    files = [*course.root.glob("feedback/*/tiny/*.html")]
    return {str(path.relative_to(course.root)): path.read_bytes() for path in files}


def test_a_run_killed_at_any_point_goes_on_to_the_same_gradebook(course: Course, hand_in: HandIn) -> None:
    """SIGKILL at fifty random points: nothing is left running, and the next run ends where an undisturbed one does."""
    for name, answers in STUDENTS.items():
        hand_in(name, **answers)
    begin = time.monotonic()
    grade(course, "tiny", workers=2, sandboxed="bubblewrap")
    with course.gradebook() as gradebook:
        by_hand = gradebook.find_grade("q3_words", "sums", "tiny", "full")
        by_hand.manual_score = 0.5
        gradebook.db.commit()
    grade(course, "tiny", workers=2, sandboxed="bubblewrap", force=True)
    undisturbed, pages = grades(course), stored(course)
    seconds = (time.monotonic() - begin) / 2

    server = warm.server(1)
    draw = random.Random(0)
    moments = [f"{draw.uniform(0, 1.1 * seconds):.3f}" for _ in range(KILLS)]
    subprocess.run(
        [sys.executable, "-c", KILLER, str(course.root), *moments],
        env={**os.environ, f"{warm.LENT}1": server.address, "KILLED_RUNS": str(course.root)},
        check=True,
    )
    wait_until_gone(server.pid, f"KILLED_RUNS={course.root}")
    result = grade(course, "tiny", workers=2, sandboxed="bubblewrap")
    assert result.failed == {}
    assert grades(course) == undisturbed
    assert stored(course) == pages


def wait_until_gone(server: int, variable: str) -> None:
    """Hold that no kernel, and no process with this environment variable, outlives its run."""
    begin = time.monotonic()
    while left := children(server) + with_variable(variable):
        assert time.monotonic() - begin < 20, left
        time.sleep(0.1)


def with_variable(variable: str) -> list[int]:
    """The processes that were started with this environment variable."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if variable.encode() in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


def test_a_killed_worker_costs_nothing(course: Course, hand_in: HandIn) -> None:
    """A worker is killed in the middle of the class: its submission is begun again, and every grade is there."""
    for name, answers in STUDENTS.items():
        hand_in(name, **answers)
    killed: list[int] = []

    def kill_one(result: object, done: int, total: int) -> None:
        if not killed:
            killed.append(workers()[0])
            os.kill(killed[0], signal.SIGKILL)

    result = grade(course, "tiny", workers=2, sandboxed="bubblewrap", say=kill_one)
    assert len(killed) == 1
    assert result.failed == {}
    assert {one.student: one.score for one in result.submissions} == {
        "blank": 0, "full": 5, "dies": 3, "late": 5, "wrong": 2
    }  # fmt: skip


def workers() -> list[int]:
    """The worker processes of this one: children of multiprocessing's fork server."""
    parent = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return children(parent)
