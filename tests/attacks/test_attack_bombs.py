"""Bombs and accidents: each costs whoever hands it in, has its cause, and leaves the others and the machine alone.

All sizes are bounded, and everything runs inside the limits of the sandbox.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from pathlib import Path

import pytest

INSIDE = "def mean(x):\n"
# name: what stands in the answer cell of question 1, the best score that may come of it, the causes that it may have
BOMBS: dict[str, tuple[str, float, set[str]]] = {
    "fork_bomb": (
        INSIDE + "    import os, time\n    for _ in range(300):\n        if os.fork() == 0:\n"
        "            time.sleep(30)\n            os._exit(0)\n    return 0.0",
        2,
        {"error", "kernel_died"},
    ),
    "thread_bomb": (
        INSIDE + "    import threading, time\n    threading.stack_size(65536)\n    for _ in range(2000):\n"
        "        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n    return 0.0",
        2,
        {"error", "kernel_died"},
    ),
    "memory": (INSIDE + "    return np.ones(3 * 2**27).sum()", 2, {"memory"}),
    "memory_of_many": (
        INSIDE + "    import os, time\n    for _ in range(8):\n        if os.fork() == 0:\n"
        "            kept = np.ones(12 * 2**20)\n            time.sleep(30)\n            os._exit(0)\n"
        "    time.sleep(30)",
        0,
        {"memory"},
    ),
    "dev_shm": (
        INSIDE + "    with open('/dev/shm/x', 'wb') as file:\n"
        "        for _ in range(1024): file.write(bytes(2**20))\n    return 0.0",
        2,
        {"error"},
    ),
    "disk": (
        INSIDE + "    with open('x', 'wb') as file:\n"
        "        for _ in range(1024): file.write(bytes(2**20))\n    return 0.0",
        2,
        {"error"},
    ),
    "inodes": (
        INSIDE + "    import os, time\n    for n in range(60_000): os.close(os.open(f'/tmp/{n}', os.O_CREAT))\n"
        "    time.sleep(30)",
        0,
        {"memory"},
    ),
    "output": (
        INSIDE + "    for _ in range(400): print('x' * 2**20)\n    return 0.0",
        2,
        {"wrong", "kernel_died", "memory"},
    ),
    "displays": (
        INSIDE + "    from IPython.display import display\n    for n in range(50_000): display(n)\n    return 0.0",
        2,
        {"wrong", "kernel_died", "timeout"},
    ),
    "swallows_interrupts": (
        INSIDE + "    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        0,
        {"timeout"},
    ),
    "exits": (INSIDE + "    import os\n    os._exit(0)", 0, {"kernel_died"}),
    "crashes": (INSIDE + "    import ctypes\n    ctypes.string_at(0)", 0, {"kernel_died"}),
    "stops_itself": (INSIDE + "    import os, signal\n    os.kill(os.getpid(), signal.SIGSTOP)", 0, {"timeout"}),
    "kills_its_parent": (
        INSIDE + "    import os, signal\n    os.kill(os.getppid(), signal.SIGKILL)",
        0,
        {"kernel_died"},
    ),
    "kills_everything": (
        INSIDE + "    import os, signal\n    for one in (2, 1, -1):\n        try: os.kill(one, signal.SIGKILL)\n"
        "        except OSError: pass\n    os.killpg(0, signal.SIGKILL)",
        0,
        {"kernel_died"},
    ),
    "closes_its_files": (INSIDE + "    import os\n    os.closerange(0, 1024)", 0, {"kernel_died", "timeout"}),
}
SURVIVE = """
import os, subprocess, threading, time
subprocess.Popen(["sleep", "56565"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "56565"])
    os._exit(0)
def spin():
    while True: time.sleep(0.001)
for _ in range(8): threading.Thread(target=spin).start()
"""


def alive(text: str) -> int:
    """How many processes have ``text`` in their command line."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            count += text.encode() in path.read_bytes()
    return count


@pytest.fixture(scope="module")
def graded(classroom):
    """All bombs and three honest students, with low limits."""
    room = classroom()
    for name, (text, _, _) in BOMBS.items():
        room.hand_in(name, q1_mean=text)
    room.hand_in("survivors", SURVIVE)
    room.hand_in("many_outputs", *["for _ in range(7): print('x' * 2**20)"] * 30)
    room.grade(memory_mib=512, disk_mib=64, processes=64, cell_seconds=6, notebook_seconds=60)
    return room


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_has_its_cause(name: str, graded) -> None:
    """Its points are lost, what was crossed is told, and nothing else."""
    score, cause = graded.verdict(name)
    assert score <= BOMBS[name][1]
    assert cause in BOMBS[name][2]


def test_nothing_survives(graded) -> None:
    """Processes that left their session, and threads that never end, are gone; the answer beside them counts."""
    assert graded.verdict("survivors") == (5, None)
    assert alive("56565") == 0


def test_outputs_are_bounded_over_a_notebook(graded) -> None:
    """Many cells that each print what one cell may: what is kept of the notebook has a limit of its own."""
    assert graded.verdict("many_outputs") == (5, None)
    path = graded.course.path("autograded", "tiny", "many_outputs") / "sums.ipynb"
    assert path.stat().st_size < 40 * 2**20


def test_the_honest_ones_are_not_harmed(graded) -> None:
    """Who was graded before, among and after the bombs has full marks."""
    assert [graded.verdict(name) for name in ("a_honest", "m_honest", "z_honest")] == [(5, None)] * 3
    assert graded.failed == {}


SHADOWS = ("numpy.py", "sitecustomize.py", "usercustomize.py", "conftest.py", "dlcourse.py", "nbgrader_config.py")
NAMES = (
    "a\nb.txt",
    "\x1b[2J\x1b]0;owned\x07.txt",
    "..x",
    "...",
    "%s%n",
    "-rf",
    "*.ipynb",
    "[x].txt",
    "x" * 255,
    "\udcff",
)


def test_odd_files_beside_a_notebook(classroom, tmp_path: Path) -> None:
    """Modules that shadow, links, pipes, devices and names of any kind: the notebook is graded, nothing gets out."""
    room = classroom()
    secret = tmp_path / "secret.txt"
    secret.write_text("s3cret")
    (room.course.path("source", "tiny") / "data").mkdir()
    (room.course.path("source", "tiny") / "data" / "course.txt").write_text("the course's")
    (room.course.path("source", "tiny") / "table.csv").write_text("the course's")
    for name in SHADOWS:
        room.hand_in("shadows")
        (room.folder("shadows") / name).write_text("raise SystemExit('shadowed')")
    (room.folder("shadows") / "torch").mkdir()
    (room.folder("shadows") / "torch" / "__init__.py").write_text("raise SystemExit('shadowed')")
    (room.folder("shadows") / "evil.pth").write_text(f"import os; os.mkdir({str(tmp_path / 'canary')!r})")
    look = "import os, pathlib\nprint('SEEN', sorted(p.name for p in pathlib.Path('.').rglob('*') if p.is_file()))"
    room.hand_in("links", look)
    folder = room.folder("links")
    (folder / "soft.txt").symlink_to(secret)
    (folder / "folder").symlink_to(room.course.root / "source")
    (folder / "hard.txt").hardlink_to(secret)
    os.mkfifo(folder / "pipe")
    with contextlib.suppress(PermissionError):
        os.mknod(folder / "device", 0o20666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(folder)
        made.bind("socket")
        os.chdir("/")
    room.hand_in("linked")
    (room.folder("linked") / "sums.ipynb").unlink()
    (room.folder("linked") / "sums.ipynb").hardlink_to(room.course.path("source", "tiny") / "sums.ipynb")
    room.hand_in("names", look)
    for name in NAMES:
        (room.folder("names") / name).write_text("x")
    room.hand_in("clash")
    (room.folder("clash") / "data").write_text("a file where the course has a folder")
    (room.folder("clash") / "table.csv").mkdir()
    (room.folder("clash") / "table.csv" / "x").write_text("a folder where the course has a file")
    room.hand_in("many")
    for number in range(6000):
        (room.folder("many") / str(number)).touch()
    room.hand_in("deep")
    deep = room.folder("deep")
    for _ in range(1200):
        deep /= "d"
        deep.mkdir()
    try:
        room.grade()
    finally:
        subprocess.run(["rm", "-rf", str(room.folder("deep"))], check=True)  # too deep for pytest
    assert list(room.failed) == ["deep"] and "more than 50 deep" in room.failed["deep"]
    full = ["a_honest", "m_honest", "z_honest", "shadows", "links", "names", "clash", "many"]
    assert {name: room.verdict(name) for name in full} == dict.fromkeys(full, (5, None))
    assert room.verdict("linked") == (0, "unreadable")
    assert "SEEN ['README', 'course.txt', 'table.csv']" in room.printed("links")
    assert "owned" in room.printed("names")
    assert not (tmp_path / "canary").exists()
    for made in room.course.path("autograded", "tiny", "links").rglob("*"):
        assert not made.is_symlink() and (made.is_dir() or b"s3cret" not in made.read_bytes())
