"""What stock nbgrader, in its plain configuration, makes of the attacks that docs/security.md lists.

    python scripts/attack_stock.py                  every attack: a few minutes
    python scripts/attack_stock.py "fork bomb"      those whose name holds this text
    python scripts/attack_stock.py --json FILE      also as JSON

Stock nbgrader has no sandbox. So each run of it stands inside a guard: bubblewrap with its own processes, network and
users, the system read-only, a folder in memory of limited size to write to, and from outside a watch on time, memory
and processes. Without bubblewrap nothing runs.

Attackers hand in between two honest students, who are graded before and after them; then come `nbgrader autograde` and
`nbgrader generate_feedback`. Attacks that do something to others have a class of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from rich.console import Console
from stock_attacks import ATTACKS, SECRET, Attack

from dlcourse.grading import sandbox

GIB = 2**30
SECONDS, MEMORY, PROCESSES, DISK = 1800, 4 * GIB, 800, 2 * GIB  # of one guard
OTHERS = ("a_honest", "z_honest")
LOG = Path(sandbox.FOLDER, "log")
HERE = Path(__file__).resolve().parent
SOLUTION = "def square(x):\n    ### BEGIN SOLUTION\n    return x * x\n    ### END SOLUTION"
TESTS = (
    "assert square(3) == 9\n### BEGIN HIDDEN TESTS\nassert square(12) == 144\n### END HIDDEN TESTS",
    "### BEGIN HIDDEN TESTS\nnp.testing.assert_allclose(square(np.array([1.5, 4.0])), [2.25, 16.0])\n"
    "### END HIDDEN TESTS",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="texts that the names of attacks hold")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--inside", type=int, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(Inside([ATTACKS[number] for number in options.inside]).run()))
        return 0
    sandbox.require()
    chosen = [a for a in ATTACKS if not options.names or any(text in a.name for text in options.names)]
    console, rows = Console(highlight=False, soft_wrap=True, markup=False), {}
    import nbgrader

    console.print(f"nbgrader {nbgrader.__version__}, plain configuration\n\n| attack | what happened |\n| --- | --- |")
    with tempfile.TemporaryDirectory(prefix="stock-") as folder:
        make_course(Path(folder))
        together = [attack for attack in chosen if not attack.alone]
        for attacks in [together] * bool(together) + [[attack] for attack in chosen if attack.alone]:
            seen = guarded(attacks, Path(folder))
            for attack in attacks:
                rows[attack.name] = {**seen, **seen["attacks"].get(attack.name, {}), "happened": ""}
                del rows[attack.name]["attacks"]
                rows[attack.name]["happened"] = said = sentence(attack, rows[attack.name])
                console.print(f"| {attack.name} | {said} |")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


def make_course(folder: Path) -> None:
    """A plain nbgrader course with a gradebook and a release, both made by nbgrader."""
    (folder / "nbgrader_config.py").write_text('c = get_config()\nc.CourseDirectory.course_id = "stock"\n')
    cells = [new_code_cell("import numpy as np"), new_code_cell(SOLUTION), *map(new_code_cell, TESTS)]
    for number, cell in enumerate(cells[1:]):
        cell.metadata["nbgrader"] = {
            "grade_id": f"cell_{number}",
            "schema_version": 3,
            "task": False,
            "solution": number == 0,
            "grade": number > 0,
            "locked": number > 0,
        } | ({"points": 1} if number else {})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (folder / "source" / "hw").mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "source" / "hw" / "hw.ipynb")
    subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_assignment", "hw"], cwd=folder, check=True, capture_output=True
    )
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder}/gradebook.db") as gradebook:
        for student in OTHERS:
            gradebook.update_or_create_student(student, first_name=SECRET)


def guard(course: Path, *command: str) -> list[str]:
    """bubblewrap around ``command``; the course is there to be read, a folder in memory is home."""
    words = [sandbox.require(), "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]
    words += ["--cap-drop", "ALL", "--perms", "0755", "--dir", "/etc"]
    for path in sandbox.SYSTEM:
        words += ["--ro-bind-try", path, path]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for path in [*sandbox.python_folders(), HERE]:
        words += ["--ro-bind", str(path), str(path)]
    words += ["--ro-bind", str(course), "/base", "--size", str(DISK), "--tmpfs", sandbox.FOLDER, "--remount-ro", "/"]
    words += ["--clearenv", "--setenv", "PATH", f"{Path(sys.executable).parent}:{os.defpath}"]
    for name, text in {"HOME": "/scratch/home", "GRADER_PASSWORD": SECRET, "LANG": "C.UTF-8"}.items():
        words += ["--setenv", name, text]
    return [*words, "--chdir", sandbox.FOLDER, "--", *command]


def guarded(attacks: list[Attack], course: Path) -> dict[str, Any]:
    """Grade one class in a guard, and end it where it uses too much; what was seen."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    numbers = [str(ATTACKS.index(attack)) for attack in attacks]
    command = guard(course, sys.executable, str(Path(__file__).resolve()), "--inside", *numbers)
    begin = time.monotonic()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit
    ) as running:
        ended: list[str] = []
        watch = threading.Thread(target=_watch, args=(running, ended), daemon=True)
        watch.start()
        assert running.stdout and running.stderr
        text, error = running.stdout.read(2**20), running.stderr.read(2**20)
        running.kill()
    watch.join()
    seconds = round(time.monotonic() - begin, 1)
    try:
        seen = json.loads(text)
    except ValueError:
        if not ended:
            raise SystemExit(f"The guard failed: {error.decode('utf-8', 'replace')[-2000:]}") from None
        seen = {"attacks": {}}
    return {**seen, "ended_by_guard": ended, "seconds": seconds}


def _watch(running: subprocess.Popen[bytes], ended: list[str]) -> None:
    begin = time.monotonic()
    outermost = psutil.Process(running.pid)
    while running.poll() is None:
        with contextlib.suppress(psutil.Error):
            inside = outermost.children(recursive=True)
            used = 0
            for process in inside:
                with contextlib.suppress(psutil.Error):
                    used += process.memory_info().rss
            if time.monotonic() - begin > SECONDS:
                ended.append(f"more than {SECONDS} s")
            if used > MEMORY or len(inside) > PROCESSES:
                ended.append("more memory or processes than the guard allows")
        if ended:
            running.kill()
            return
        time.sleep(0.2)


class Inside:
    """One class, inside the guard."""

    def __init__(self, attacks: list[Attack]) -> None:
        self.attackers = {f"m{number:02}": attack for number, attack in enumerate(attacks)}
        self.course = Path(sandbox.FOLDER, "course")
        shutil.copytree("/base", self.course)
        Path.home().mkdir()
        (Path.home() / "private.txt").write_text(SECRET)
        os.environ.update(IPYTHONDIR=str(Path.home() / ".ipython"), JUPYTER_RUNTIME_DIR="/scratch/home/run")
        for student in OTHERS:
            self._hand_in(student, "def square(x):\n    return x * x")
        for student, attack in self.attackers.items():
            folder, notebook = self._hand_in(student, attack.code)
            attack.notebook(notebook)
            nbformat.write(notebook, folder / "hw.ipynb")
            attack.beside(folder)

    def _hand_in(self, student: str, answer: str) -> tuple[Path, NotebookNode]:
        notebook = nbformat.read(self.course / "release" / "hw" / "hw.ipynb", as_version=4)
        notebook.cells[1].source = answer
        folder = self.course / "submitted" / student / "hw"
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / "hw.ipynb")
        return folder, notebook

    def run(self) -> dict[str, Any]:
        with socket.create_server(("127.0.0.1", 40404)) as listener:
            listener.settimeout(0)
            begin = time.monotonic()
            code = self._nbgrader("autograde", "hw")
            took = time.monotonic() - begin
            self._nbgrader("generate_feedback", "hw")
            try:
                listener.accept()
                connected = True
            except BlockingIOError:
                connected = False
        time.sleep(1)  # what was started has its time
        return {
            "exit": code,
            "autograde_seconds": round(took, 1),
            "others": {student: self._score(student) for student in OTHERS},
            "attacks": {attack.name: self._seen(student, attack) for student, attack in self.attackers.items()},
            "connected": connected,
            "log": LOG.read_text("utf-8", "replace")[-3000:],
        }

    def _nbgrader(self, *arguments: str) -> int:
        with LOG.open("ab") as log:
            return subprocess.run(
                [sys.executable, "-m", "nbgrader", *arguments],
                cwd=self.course,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=False,
            ).returncode

    def _seen(self, student: str, attack: Attack) -> dict[str, Any]:
        made = self.course / "autograded" / student / "hw"
        page = self.course / "feedback" / student / "hw" / "hw.html"
        shown = "".join(
            path.read_text("utf-8", "replace") for path in (made / "hw.ipynb", made / "data.txt") if path.is_file()
        )
        return {
            "score": self._score(student),
            "secret": SECRET in shown or "SEEN {'12'" in shown,
            "canary": (self.course / f"canary-{student}").exists(),
            "left_running": _running(attack.marker),
            "mib": sum(path.stat().st_size for path in made.rglob("*") if path.is_file()) >> 20,
            "script": page.is_file() and "<script>alert(1)" in page.read_text("utf-8", "replace"),
        }

    def _score(self, student: str) -> float | None:
        """Points in the gradebook, as nbgrader counts them; None if there are none."""
        if not (self.course / "autograded" / student / "hw" / "hw.ipynb").is_file():
            return None
        with contextlib.closing(sqlite3.connect(self.course / "gradebook.db")) as book:
            query = (
                "select sum(coalesce(manual_score, auto_score)) from grade join submitted_notebook on "
                "grade.notebook_id = submitted_notebook.id join submitted_assignment on "
                "submitted_notebook.assignment_id = submitted_assignment.id where student_id = ?"
            )
            found = book.execute(query, (student,)).fetchone()[0]
        return None if found is None else float(found)


def _running(text: str) -> int:
    count = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            count += text.encode() in path.read_bytes()
    return count


def sentence(attack: Attack, seen: dict[str, Any]) -> str:
    """What happened, in words."""
    if seen["ended_by_guard"]:
        return f"ended by the guard after {seen['seconds']:.0f} s: {seen['ended_by_guard'][0]}"
    words = []
    scores, own = seen["others"], seen["score"]
    if own is None:
        words.append("not graded")
    elif own != attack.owed or not attack.owed:
        words.append(f"**{own:g} of 2 points**" if own > attack.owed else f"{own:g} points")
    missing = [name for name in OTHERS if scores[name] is None]
    fewer = [name for name in OTHERS if scores[name] is not None and scores[name] < 2]
    if missing:
        words.append(f"**{len(missing)} other not graded**")
    if fewer:
        words.append(f"**{len(fewer)} other loses points**")
    words += ["**secret seen**"] * seen["secret"] + ["**done**"] * seen["canary"]
    words += ["**connected**"] * (seen["connected"] and "40404" in attack.code) + ["**script in the feedback**"] * seen[
        "script"
    ]
    if seen["left_running"]:
        words.append(f"**{seen['left_running']} processes stay**")
    if seen["mib"] > 16:
        words.append(f"**{seen['mib']} MiB kept**")
    if seen["exit"] < 0:
        words.append(f"**the grader died** ({signal.Signals(-seen['exit']).name})")
    if attack.alone and seen["autograde_seconds"] > 90:
        words.append(f"{seen['autograde_seconds']:.0f} s")
    return ", ".join(words) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
