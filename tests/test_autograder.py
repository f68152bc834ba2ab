"""``course export autograder``: the package grades in a scratch root laid out as Gradescope's container, and holds out.

The container's parts need root, which CI and containers have. Without it they are held to refuse, and the walls that
need no root are tried as the user that there is.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from click.testing import CliRunner

from dlcourse.cli import main
from dlcourse.course import Course
from dlcourse.grading import other_user
from dlcourse.grading.grade import grade
from dlcourse.handin.archive import MAX_ENTRIES
from dlcourse.lms.autograder import container as entry
from dlcourse.lms.autograder.package import pinned
from dlcourse.lms.autograder.submission import MAX_BYTES, take_out

ROOT = Path(__file__).resolve().parent.parent
USER = 61234  # of learners' code; has no other processes
IS_ROOT = os.geteuid() == 0
HIDDEN = ("linspace(2.0, 9.0, 7)", "1.5, 9.0]", "check.isolated")  # of the tiny notebook's hidden tests
HandIn = Callable[..., Path]
needs_root = pytest.mark.skipif(not IS_ROOT, reason="tried without root by test_without_root")


def reachable(path: Path) -> bool:
    """Whether any user may go there."""
    real = path.resolve()
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in [*real.parents, real] if parent.is_dir())


def python_for_others() -> str:
    """A Python of this version that any user may run: this one, or the system's."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [Path(sys.base_prefix) / "bin" / name, *(Path(p) / name for p in ("/usr/bin", "/usr/local/bin"))]
    found = next((path for path in candidates if path.exists() and reachable(path)), None)
    assert found, f"the container needs a {name} that any user may run; there are: {', '.join(map(str, candidates))}"
    return str(found)


@dataclass
class Container:
    """A scratch root with /autograder's layout."""

    root: Path
    tmp: Path
    packages: Path

    def load(self, archive: Path) -> None:
        """Lay the ZIP out as Gradescope does; the wheel is installed as setup.sh does, its dependencies are lent."""
        shutil.rmtree(self.root / "source", ignore_errors=True)
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(self.root / "source")
        for script in ("setup.sh", "run_autograder"):
            (self.root / "source" / script).chmod(0o755)
        shutil.copy(self.root / "source" / "run_autograder", self.root)
        packages = next((self.root / "venv" / "lib").glob("python3*/site-packages"))
        for old in packages.glob("dlcourse*"):
            shutil.rmtree(old)
        with zipfile.ZipFile(next((self.root / "source").glob("*.whl"))) as wheel:
            wheel.extractall(packages)
        (packages / "dependencies.pth").write_text(f"{self.packages}\n")

    def grade(self, *files: Path) -> dict[str, Any]:
        """Hand files in, run the autograder as Gradescope does and return results.json."""
        for name in ("submission", "results"):
            shutil.rmtree(self.root / name, ignore_errors=True)
        (self.root / "submission").mkdir()
        for path in files:
            shutil.copy(path, self.root / "submission")
        (self.root / "submission_metadata.json").write_text('{"previous_submissions": [{"results": {}}]}')
        command = [str(self.root / "run_autograder"), "--user", str(USER)]
        environment = {**os.environ, "TMPDIR": str(self.tmp)}
        ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert ended.returncode == 0, ended.stderr
        return json.loads((self.root / "results" / "results.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def box() -> Iterator[Container]:
    """An empty container."""
    with tempfile.TemporaryDirectory(prefix="ag-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "autograder"
        root.mkdir()
        subprocess.run([python_for_others(), "-m", "venv", "--without-pip", str(root / "venv")], check=True)
        shutil.copytree(matplotlib.get_cachedir(), root / "fonts", ignore=shutil.ignore_patterns("tex.cache", "*.lock"))
        tmp = Path(folder) / "t"
        tmp.mkdir()
        tmp.chmod(0o1777)
        packages = Path(sysconfig.get_path("purelib"))
        if not reachable(packages):  # a checkout in somebody's home
            heavy = shutil.ignore_patterns("torch*", "nvidia*", "triton*", "playwright*", "mypy*", "__pycache__")
            packages = shutil.copytree(packages, Path(folder) / "packages", ignore=heavy)
        yield Container(root, tmp, packages)


@pytest.fixture
def tiny(box: Container, course: Course, tmp_path: Path) -> Container:
    """The container with the tiny assignment's autograder."""
    (course.path("release", "tiny") / "numbers.txt").write_text("1 2 6\n")
    box.load(package(course, "tiny", tmp_path))
    return box


def package(course: Course, assignment: str, folder: Path) -> Path:
    """Export the autograder by the command."""
    archive = folder / f"{assignment}.zip"
    ended = CliRunner().invoke(main, ["-C", str(course.root), "export", "autograder", assignment, "-o", str(archive)])
    assert ended.exit_code == 0, ended.output
    assert "for Gradescope only" in ended.output
    return archive


def scored(results: dict[str, Any]) -> dict[str, tuple[float, str | None]]:
    """Points and cause by grade_id, of the tests that give points."""
    return {
        test["name"].rsplit("(", 1)[1].rstrip(")"): (test["score"], next(iter(test["tags"]), None))
        for test in results["tests"]
        if test["max_score"]
    }


def visible(results: dict[str, Any]) -> str:
    """All that a learner sees before the grades are published."""
    assert results["stdout_visibility"] == "hidden"
    return results["output"] + "".join(
        t["name"] + t["output"] for t in results["tests"] if t["visibility"] == "visible"
    )


WRONG = "def mean(x):\n    return x.sum() / (len(x) - 1)"
FORGED = """
from IPython.display import display
def send(label, value):
    payload = {"kind": "close", "label": label, "value": {"json": value}}
    display({"application/vnd.dlcourse.check+json": payload}, raw=True)
def mean(x):
    send("mean of squares", 35.0)
    send("input unchanged", [])
    return x.sum() / (len(x) - 1)
for label in ("mean of squares", "input unchanged", "centred"):
    send(label, 35.0)
"""


@needs_root
def test_verdicts_are_those_of_course_grade(tiny: Container, course: Course, hand_in: HandIn, tmp_path: Path) -> None:
    """The same points and causes, from an IPYNB under any name, from a ZIP, for forged values and a broken file."""
    right, forged = hand_in("right"), hand_in("forged", q1_mean=FORGED)
    (course.root / "submitted" / "broken" / "tiny").mkdir(parents=True)
    broken = course.root / "submitted" / "broken" / "tiny" / "sums.ipynb"
    broken.write_text("{nope")
    expected = {
        one.student: {q["grade_id"]: (q["score"], q["cause"]) for q in one.questions if q["grade_id"] != "q3_words"}
        for one in grade(course, "tiny").submissions
    }
    packed = tmp_path / "Last_First_tiny.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(right, "Last_First_tiny/Last_First_assignment.ipynb")
        archive.writestr("Last_First_tiny/report.pdf", b"%PDF")
    assert scored(tiny.grade(packed)) == expected["right"] == {"q1_mean_test": (3, None), "q2_centre_test": (2, None)}
    results = tiny.grade(forged)
    assert scored(results) == expected["forged"]
    assert scored(results)["q1_mean_test"][0] == 0
    assert "✗ mean of three: " in visible(results)
    results = tiny.grade(broken)
    assert scored(results) == expected["broken"] == dict.fromkeys(scored(results), (0, "unreadable"))
    assert "not JSON" in visible(results)
    assert scored(tiny.grade()) == dict.fromkeys(scored(results), (0, "not_submitted"))


@needs_root
def test_results_are_in_gradescopes_format(tiny: Container, hand_in: HandIn) -> None:
    """Visible checks show at once with their diagnosis, points and hints after publication; nothing hidden does."""
    results = tiny.grade(hand_in("wrong", q1_mean=WRONG))
    assert set(results) <= {
        "output", "output_format", "visibility", "stdout_visibility", "execution_time", "tests", "extra_data",
    }  # fmt: skip
    public, points, *_, words = results["tests"]
    assert (public["visibility"], public["status"], public["max_score"]) == ("visible", "failed", 0)
    assert "expected 3, got 4.5" in public["output"] and "divide by the number of elements" in public["output"]
    assert (points["visibility"], points["score"], points["max_score"]) == ("after_published", 0, 3)
    assert points["output"] == "A value is wrong.\n✗ mean of squares\n  hint: divide by N\n✓ input unchanged"
    assert (words["max_score"], words["output"]) == (0, "Answered; graded by hand.")
    text = json.dumps(results)
    assert not [secret for secret in HIDDEN if secret in text]
    assert all(test["output_format"] == "text" for test in results["tests"])


THIEF = """
def mean(x):
    import ctypes, os, signal, socket, subprocess
    seen = []
    def tried(name, function):
        try:
            function()
            seen.append(name)
        except Exception:
            pass
    parent = os.getppid()
    for name in ("source", "source/grading/sums.json", "results", "submission", "submission_metadata.json"):
        path = ROOT + "/" + name
        tried(name, lambda: os.listdir(path) if os.path.isdir(path) else open(path).read())
    for name in ("results/results.json", "run_autograder", "venv/x", "source/x", "x", "results/results.json.part"):
        tried("write " + name, lambda: open(ROOT + "/" + name, "w").write("{}"))
    tried("chmod", lambda: os.chmod(ROOT + "/results", 0o777))
    tried("move scratch", lambda: os.rename(os.getcwd(), os.getcwd() + "x"))
    tried("kill", lambda: os.kill(parent, signal.SIGKILL))
    tried("environ", lambda: open(f"/proc/{parent}/environ", "rb").read(9))
    tried("mem", lambda: open(f"/proc/{parent}/mem", "rb"))
    tried("root", lambda: os.setuid(0))
    tried("network", lambda: socket.create_connection(("127.0.0.1", 9), 1) if 0 else socket.socket(socket.AF_INET))
    if ctypes.CDLL(None).ptrace(16, parent, 0, 0) == 0:
        seen.append("ptrace")
    for _ in range(3):
        subprocess.Popen(["/bin/sh", "-c", "while :; do sleep 1; echo x > $0; done", ROOT + "/results/results.json"],
                         start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()
    raise ValueError("SEEN " + repr(seen))
"""


@needs_root
def test_learners_code_reaches_nothing(tiny: Container, hand_in: HandIn) -> None:
    """It reads no test, key or upload, writes no result, signals nobody, has no network; its processes end with it."""
    results = tiny.grade(hand_in("thief", q1_mean=THIEF.replace("ROOT", repr(str(tiny.root)))))
    assert "ValueError: SEEN []" in visible(results), visible(results)
    assert scored(results)["q1_mean_test"] == (0, "error")
    assert scored(results)["q2_centre_test"] == (2, None)
    assert other_user._processes(USER) == []
    assert list(tiny.tmp.iterdir()) == []


LEAK = """
import os, tempfile
STASH = "/var/tmp/stash-61234"
def spied():
    from IPython import get_ipython
    text = repr(get_ipython().user_ns["In"])
    with open(STASH, "a") as file:
        file.write(text)
    return open(STASH).read()
def mean(x):
    spied()
    return x.sum() / len(x)
"""
TELL = """
def centre(x):
    text = spied()
    print(text)
    raise ValueError(text[-150:] if "linspace" not in text else text[text.index("linspace"):][:150])
"""


@needs_root
def test_no_hidden_check_is_carried_out(tiny: Container, hand_in: HandIn) -> None:
    """Code that reads the hidden statements in its own kernel can put them nowhere that a learner sees."""
    stash = Path("/var/tmp/stash-61234")
    stash.unlink(missing_ok=True)
    try:
        results = tiny.grade(hand_in("leak", q1_mean=LEAK, q2_centre=TELL))
        assert "linspace(2.0, 9.0, 7)" in stash.read_text("utf-8")  # it did read them
    finally:
        stash.unlink(missing_ok=True)
    assert "ValueError" in visible(results)
    text = json.dumps(results)
    assert not [secret for secret in HIDDEN if secret in text]


@needs_root
def test_the_real_assignment_fits_the_container(box: Container, tmp_path: Path) -> None:
    """ps6_rnn: the sample's points, well inside 10 minutes of half a processor and 768 MB."""
    box.load(package(Course(ROOT), "ps6_rnn", tmp_path))
    sample = ROOT / "submitted" / "typical_mistakes" / "ps6_rnn" / "rnn.ipynb"
    measured = tmp_path / "measured"
    probe = (
        "import resource, subprocess, sys\nsubprocess.run(sys.argv[2:], check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "open(sys.argv[1], 'w').write(f'{used.ru_utime + used.ru_stime} {used.ru_maxrss}')\n"
    )
    shutil.rmtree(box.root / "submission", ignore_errors=True)
    (box.root / "submission").mkdir()
    shutil.copy(sample, box.root / "submission")
    command = [sys.executable, "-c", probe, str(measured), str(box.root / "run_autograder"), "--user", str(USER)]
    subprocess.run(command, check=True)
    results = json.loads((box.root / "results" / "results.json").read_text("utf-8"))
    assert sum(points for points, _ in scored(results).values()) == pytest.approx(15.653, abs=0.001)
    processor, largest = map(float, measured.read_text().split())
    assert processor / 0.5 < 300
    assert 2 * largest / 1024 < 768  # the grader and one kernel, the larger of them counted twice


def test_the_package_holds_no_solution(course: Course, tmp_path: Path) -> None:
    """Scripts, releases, keys, pinned hashes, the same bytes each time; solutions and rubrics stay at home."""
    archive = package(course, "tiny", tmp_path)
    again = archive.read_bytes()
    assert package(course, "tiny", tmp_path).read_bytes() == again
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        text = b"".join(opened.read(name) for name in names if name.startswith("grading/")).decode()
        for script in ("setup.sh", "run_autograder"):
            assert opened.getinfo(script).external_attr >> 16 & 0o111
            shell = subprocess.run(["bash", "-n"], input=opened.read(script), capture_output=True, check=False)
            assert shell.returncode == 0, shell.stderr
    assert {"requirements.lock", "grading/sums.json", "grading/sums.ipynb"} < set(names)
    assert "total / len(x)" not in text and "squared distances" not in text and "Rubric" not in text
    lock = pinned()
    assert "\nnumpy==" in lock and "\ntorch==" in lock and "\nsqlalchemy==" in lock
    assert "pytest==" not in lock and "playwright==" not in lock
    assert all("--hash=sha256:" in block for block in lock.split("\n\n") if block.strip())


def test_uploads_are_unpacked_within_limits(tmp_path: Path) -> None:
    """Paths that lead out, links, bombs, too many entries, broken archives: left out by name, the rest comes in."""
    upload, target = tmp_path / "upload", tmp_path / "target"
    upload.mkdir()
    target.mkdir()
    (target / "data.txt").write_text("the course's")
    (upload / "data.txt").write_text("the learner's")
    (upload / "link.txt").symlink_to("/etc/passwd")
    os.mkfifo(upload / "pipe")
    (upload / "broken.zip").write_bytes(b"PK\x03\x04 nothing")
    with zipfile.ZipFile(upload / "hostile.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.ipynb", "{}")
        for name in ("../up.txt", "/abs.txt", "a/../../up.txt", "C:\\x.txt", "data.txt/inside"):
            archive.writestr(name, "x")
        entry_ = zipfile.ZipInfo("linked")
        entry_.external_attr = 0o120777 << 16
        archive.writestr(entry_, "/etc/passwd")
        archive.writestr("bomb", b"\0" * (MAX_BYTES + 1))
    with zipfile.ZipFile(upload / "many.zip", "w") as archive:
        for number in range(MAX_ENTRIES + 50):
            archive.writestr(f"many/{number}", "")
    notes = "\n".join(take_out(upload, target))
    kept = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert kept == {"data.txt", "good.ipynb"}
    assert (target / "data.txt").read_text() == "the course's"
    said = ["link.txt: not a regular", "pipe: not a regular", "'../up.txt' a path that leads out", "'linked' a link"]
    said += [
        "'bomb' more than",
        "broken.zip: no ZIP",
        f"many.zip: {MAX_ENTRIES + 50} entries",
        "there is a file of that name",
    ]
    assert all(text in notes for text in said), notes
    assert not (tmp_path / "up.txt").exists()


def test_the_walls_that_need_no_root(tmp_path: Path) -> None:
    """Without network and without a way to more rights, whoever the user is."""
    probe = (
        "import ctypes, os, socket\n"
        "for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):\n"
        "    try: socket.socket(family); print('open', family)\n"
        "    except OSError: pass\n"
        "print(ctypes.CDLL(None).syscall(425, 8, 0), os.geteuid())\n"
        "socket.socket(socket.AF_UNIX).close()\n"
        "print([line for line in open('/proc/self/status') if line.startswith('NoNewPrivs')])\n"
    )
    user = USER if IS_ROOT else os.geteuid()
    python = python_for_others() if IS_ROOT else sys.executable
    command = other_user.wrap([python, "-c", probe], user)
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert ended.stdout == f"-1 {user}\n['NoNewPrivs:\\t1\\n']\n", ended.stderr


def test_without_root(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a submission runs unless the grader is root and learners' code is not: a refusal, not a grade."""
    assert entry.main([str(tmp_path), "--user", "0"]) == 1
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert entry.main([str(tmp_path), "--user", str(USER)]) == 1
    assert capsys.readouterr().err.count("runs as root, learners' code as another user") == 2
    with pytest.raises(PermissionError, match="cannot become"):
        other_user.become(USER)
