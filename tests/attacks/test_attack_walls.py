"""Attacks on the walls: what a kernel in the sandbox reaches of the machine, and of the submission before it."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from dlcourse.grading.limits import Limits
from dlcourse.grading.sandbox import Sandbox

PROBES = (Path(__file__).parent.parent / "files" / "attacks" / "probes.py").read_text("utf-8")
LEAVE = """
import os, pathlib, shutil, socket, subprocess, sys
for place in ("/scratch", "/tmp", "/dev/shm"):
    pathlib.Path(place, "left").write_text("x")
    pathlib.Path(place, "deep/er").mkdir(parents=True)
pathlib.Path("numpy.py").write_text("LEFT = True")
os.environ["LEFT"] = "x"
np.LEFT = check.LEFT = sys.modules["LEFT"] = os
np.random.seed(7)
import matplotlib.pyplot as plt, torch
plt.rcParams["lines.linewidth"] = 77
torch.set_default_dtype(torch.float64)
for number in map(int, os.listdir("/proc/self/fd")):
    try:
        os.lseek(number, 7, os.SEEK_SET)
        moved = True
    except OSError:
        continue
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\\0left")
abstract.listen()
server = socket.create_server(("127.0.0.1", 40404))
subprocess.Popen(["sleep", "45454"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import time
        time.sleep(45454)
    os._exit(0)
print("LEFT", moved)
"""
LOOK = """
import os, pathlib, socket, sys
home = pathlib.Path(check.__file__).parents[1]  # of the installed package, which may lie in /tmp itself
seen = [p for place in ("/scratch", "/tmp", "/dev/shm") for p in pathlib.Path(place).rglob("*")
        if not any(part.startswith(".") for part in p.parts)]
found = [str(p) for p in seen if home not in (p, *p.parents) and p not in home.parents]
found += [name for name in os.environ if name == "LEFT"] + [m for m in (np, check) if hasattr(m, "LEFT")]
found += [name for name in sys.modules if name == "LEFT"]
for family, address in ((socket.AF_UNIX, "\\0left"), (socket.AF_INET, ("127.0.0.1", 40404))):
    with socket.socket(family) as made:
        if made.connect_ex(address) == 0:
            found.append(address)
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if b"45454" in (process / "cmdline").read_bytes():
            found.append(process.name)
    except OSError:
        pass
for number in map(int, os.listdir("/proc/self/fd")):
    try:
        if os.lseek(number, 0, os.SEEK_CUR) == 7:
            found.append(number)
    except OSError:
        pass
import matplotlib.pyplot as plt, torch
found += ["style"] * (plt.rcParams["lines.linewidth"] == 77) + ["dtype"] * (torch.get_default_dtype() != torch.float32)
print("FOUND", found)
print("DRAWN", np.random.random(2).tolist())
"""


def running(text: str) -> list[str]:
    """Processes that have ``text`` in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [path.parent.name] * (text.encode() in path.read_bytes())
    return found


@pytest.fixture(scope="module")
def graded(classroom, tmp_path_factory):
    """One worker: someone who probes, someone who leaves things behind, someone who looks for them."""
    tmp = tmp_path_factory.mktemp("grader")
    room = classroom()
    (tmp / "private").write_text("s3cret")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
        tempfile.TemporaryDirectory(prefix="t") as short,
    ):
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(0)
        unix.bind(f"{short}/s")
        unix.listen()
        abstract.bind(f"\0{tmp}")
        abstract.listen()
        host = {
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "udp_heard": True,
            "unix": f"{short}/s",
            "abstract": str(tmp),
            "course": str(room.course.root),
            "package": str(Path(__file__).resolve().parents[2] / "dlcourse" / "check.py"),
            "tmp": str(tmp),
        }
        room.hand_in("b_probe", PROBES.replace("HOST = {}", f"HOST = {host!r}"))
        room.hand_in("c_leaves", LEAVE)
        room.hand_in("d_looks", LOOK)
        room.hand_in("e_looks", LOOK)
        patch = pytest.MonkeyPatch()
        patch.setenv("GRADER_PASSWORD", "s3cret-marker")
        room.grade(workers=1)
        patch.undo()
        with pytest.raises(BlockingIOError):
            udp.recv(1)
        room.tmp = tmp
    return room


@pytest.fixture(scope="module")
def got(graded) -> dict[str, Any]:
    """What the probes said."""
    said = graded.printed("b_probe")
    assert "PROBED " in said, said
    return json.loads(said.partition("PROBED ")[2].splitlines()[0])


def test_nothing_outside_is_reached(got: dict[str, Any]) -> None:
    """No network, no file of the course or the grader, no namespace, mount, device, key, process or limit."""
    assert [name for name, said in got.items() if said == "DONE"] == []
    leads = {
        name: said for name, said in got.items() if isinstance(said, list) and name not in ("id", "files", "filters")
    }
    assert not any(leads.values()) and len(leads) == 7, leads


def test_no_privilege_is_left(got: dict[str, Any]) -> None:
    """No capability, none to be had again, a filter of system calls, and not the machine's root."""
    assert {name: int(text, 16) for name, text in got["status"].items() if name.startswith("Cap")} == dict.fromkeys(
        ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb"), 0
    )
    assert (got["status"]["NoNewPrivs"], got["status"]["Seccomp"]) == ("1", "2")
    assert 0 not in got["id"]
    assert got["filters"] == ["2"]  # also of the sandbox's own processes, into which a kernel of one user can write


def test_open_files_are_the_kernels_own(got: dict[str, Any]) -> None:
    """No folder, no namespace, no archive, no terminal: pipes, and files of the installed packages."""
    files = [name for name in got["files"] if name.startswith("/") and name != "/dev/null"]
    assert [name for name in files if "/site-packages/" not in name] == []


def test_nothing_is_written_outside(graded) -> None:
    """The grader's folder holds what it held."""
    assert [path.name for path in graded.tmp.iterdir()] == ["private"]


def test_no_state_passes_to_the_next(graded) -> None:
    """Files, variables, modules, sockets, processes, places in files and random numbers are gone."""
    assert "LEFT True" in graded.printed("c_leaves")
    for student in ("d_looks", "e_looks"):
        assert "FOUND []" in graded.printed(student)
    drawn = {graded.printed(student).partition("DRAWN")[2].splitlines()[0] for student in ("d_looks", "e_looks")}
    assert len(drawn) == 1
    assert running("45454") == []


def test_everyone_has_full_marks(graded) -> None:
    """Who probes and answers rightly loses nothing, nor does anyone else."""
    assert {graded.verdict(name) for name in graded.results} == {(5, None)}
    assert graded.failed == {} and len(graded.results) == 7


def test_an_environment_in_tmp_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A course that lies below /tmp has its Python; the rest of the folder is hidden."""
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "python").touch()
    (tmp_path / "beside").touch()
    tmp_path.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    walls = Sandbox(Limits())
    try:
        inside = walls.root / tmp_path.relative_to("/")
        assert [path.name for path in inside.rglob("*")] == ["env", "python"]
    finally:
        walls.end()
