"""More than one machine, and a gradebook in PostgreSQL: real servers, started for the test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_grade import WRONG, nbgrader, scores

from dlcourse.course import Course
from dlcourse.errors import CourseError
from dlcourse.grading.grade import grade

HandIn = Callable[..., Path]
SLOW = "import time\ntime.sleep(2)\ndef mean(x):\n    return x.sum() / len(x)"
BIN = Path(sys.executable).parent


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The address of an empty PostgreSQL database, on a server of its own that listens to a socket file only."""
    (programs,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if user:
        shutil.chown(folder, user, user)

    def call(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, timeout=60)

    call("initdb", "--username=grader", "--auth=trust", "--no-sync")
    call("pg_ctl", "--wait", f"--log={folder}/log", "-o", f"-c listen_addresses='' -k {folder}", "start")
    try:
        yield f"postgresql+psycopg://grader@/postgres?host={folder}"
    finally:
        call("pg_ctl", "--wait", "--mode=immediate", "stop")
        shutil.rmtree(folder)


def test_a_gradebook_in_postgresql(course: Course, hand_in: HandIn, postgresql: str) -> None:
    """Build, grade, grade by hand, regrade and nbgrader's own export on a PostgreSQL server; no SQLite file is made."""
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + f"\nc.CourseDirectory.db_url = {postgresql!r}\n")
    (course.root / "gradebook.db").unlink()
    course = Course(course.root)
    nbgrader(course, "generate_assignment", "tiny", "--force")
    hand_in("full")
    hand_in("wrong", q1_mean=WRONG)
    hand_in("blank", q1_mean=None, q2_centre=None, q3_words=None)
    expected = {"full": (5, None), "wrong": (2, "wrong"), "blank": (0, "error")}
    assert scores(grade(course, "tiny", workers=2)) == expected
    with course.gradebook() as gradebook:
        gradebook.find_grade("q3_words", "sums", "tiny", "full").manual_score = 1
        gradebook.db.commit()
    assert scores(grade(course, "tiny", workers=2, force=True)) == {**expected, "full": (6, None)}
    nbgrader(course, "autograde", "tiny", "--force", "--student", "wrong")
    nbgrader(course, "export")
    assert ",wrong," in (course.root / "grades.csv").read_text()
    assert not (course.root / "gradebook.db").exists()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler with two worker processes of one thread, as a person starts them."""
    address = f"{tmp_path}/scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    started = [
        subprocess.Popen(
            [BIN / "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
             "--scheduler-file", address], **quiet
        )
    ]  # fmt: skip
    try:
        wait_for_file(Path(address))
        url = json.loads(Path(address).read_text())["address"]
        started += [
            subprocess.Popen(
                [BIN / "dask", "worker", url, "--nthreads", "1", "--no-nanny", "--no-dashboard",
                 "--local-directory", f"{tmp_path}/{name}"], **quiet
            )
            for name in ("one", "two")
        ]  # fmt: skip
        wait_for_workers(url, 2)
        yield url, started[1:]
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def wait_for_file(path: Path) -> None:
    begin = time.monotonic()
    while not path.exists() or not path.read_text().endswith("}"):
        assert time.monotonic() - begin < 60
        time.sleep(0.1)


def wait_for_workers(url: str, count: int) -> None:
    from distributed import Client

    with Client(url, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


def test_a_cluster_that_loses_a_worker(course: Course, hand_in: HandIn, cluster) -> None:
    """Notebooks run on a Dask cluster; one of two workers is killed midway, and the grades are those of one machine."""
    url, workers = cluster
    for number in range(6):
        hand_in(f"slow{number}", q1_mean=SLOW)
    hand_in("wrong", q1_mean=WRONG)
    expected = {**{f"slow{number}": (5, None) for number in range(6)}, "wrong": (2, "wrong")}
    seen: list[object] = []

    def kill(result: object, done: int, total: int) -> None:
        seen.append(result)
        if len(seen) == 1:
            workers[0].send_signal(signal.SIGKILL)

    result = grade(course, "tiny", scheduler=url, sandboxed="bubblewrap", workers=1, say=kill)
    assert result.failed == {}
    assert scores(result) == expected
    assert workers[0].wait() == -signal.SIGKILL
    assert workers[1].poll() is None


def test_no_cluster_is_an_error_that_says_so(course: Course, hand_in: HandIn) -> None:
    """An address without a scheduler ends the command before anything is graded."""
    hand_in("full")
    with pytest.raises(CourseError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        grade(course, "tiny", scheduler="tcp://127.0.0.1:9")
    assert not course.path("autograded", "tiny", "full").exists()
