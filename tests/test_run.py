"""Running a submission: what goes wrong in one cell costs what depends on it, and nothing gets out or stays behind."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

import dlcourse
from dlcourse.grading import outputs, run, warm
from dlcourse.grading.judge import MAX_EMISSIONS
from dlcourse.grading.key import Statement
from dlcourse.grading.scratch import pack
from dlcourse.payload import MIME


@pytest.fixture
def scratch_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which scratch folders are made; short, as the paths of sockets must be. Empty afterwards."""
    server = warm.server(1)  # its folder is not one of those that must be gone
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)
        left = list(Path(folder).iterdir())
        assert left == [], [sorted(map(str, p.rglob("*"))) for p in left]
    assert children(server.pid) == []


def notebook(*cells: str | tuple[str, list[str]]) -> tuple[NotebookNode, dict[str, list[Statement]]]:
    """A notebook: a text is a cell, a name with statements a test cell."""
    made, statements = [], {}
    for one in cells:
        if isinstance(one, str):
            made.append(new_code_cell(one))
            continue
        name, lines = one
        cell = new_code_cell("\n".join(lines))
        cell.metadata["nbgrader"] = {"grade_id": name, "grade": True, "solution": False, "locked": True, "points": 1}
        made.append(cell)
        statements[name] = [Statement(line, True) for line in lines]
    return new_notebook(cells=made), statements


def printed(cell: NotebookNode) -> str:
    """What a cell printed."""
    return "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")


def emit(label: str, value: str = "1") -> str:
    """A statement that emits a value by hand, as a check does."""
    return f"display({{{MIME!r}: {{'label': {label!r}, 'kind': 'equal', 'value': {{'json': {value}}}}}}}, raw=True)"


def labels(cell: run.CellRun) -> list[str]:
    """The labels that a test cell emitted."""
    return [one["label"] for one in cell.emissions]


def causes(cell: run.CellRun) -> list[tuple[str, str]]:
    """The statements of a test cell that failed, with the cause."""
    return [(one.source, one.cause) for one in cell.failures]


def children(parent: int) -> list[int]:
    """The processes that have this parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def running(text: str) -> list[int]:
    """Processes that have ``text`` in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


LOOK = """
import json, os, pathlib, socket, sys, tempfile
def tried(function):
    try:
        return str(function())
    except BaseException as error:
        return type(error).__name__
import numpy
import helper
print(json.dumps({
    "environment": dict(os.environ),
    "files": sorted(os.listdir(".")),
    "hidden": sorted(str(p) for p in pathlib.Path(".").rglob("*.ipynb")),
    "numpy": numpy.__file__,
    "helper": helper.ANSWER,
    "startup": "STARTED" in globals(),
    "network": tried(lambda: socket.create_connection(("1.1.1.1", 53), 2)),
    "loopback": tried(lambda: socket.create_connection(("127.0.0.1", PORT), 2)),
    "course": os.path.exists(COURSE),
    "home": os.listdir(HOME) if os.path.isdir(HOME) else [],
    "processes": len([p for p in os.listdir("/proc") if p.isdigit()]),
    "scratch": os.path.dirname(tempfile.mkdtemp()) == os.environ["TMPDIR"],
    "written": tried(lambda: open("/usr/here", "w")),
    "asked": tried(lambda: input("? ")),
}))
"""


def test_a_sandboxed_kernel_sees_its_own_files_and_nothing_else(
    scratch_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network, course, home, secret or other process; helper files load and installed packages are not shadowed.

    In the same kernel: one statement's error costs that statement, emitted values and outputs are bounded, a
    background process ends with the kernel.
    """
    files = tmp_path / "submission"
    (files / "data").mkdir(parents=True)
    (files / "numpy.py").write_text("raise RuntimeError('shadowed')")
    (files / "helper.py").write_text("ANSWER = 42")
    (files / "sums.ipynb").write_text("{}")
    (files / "Other.IPYNB").write_text("{}")
    (files / "data" / "x.txt").write_text("x")
    (files / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(files / "pipe")
    for folder, name in ((".matplotlib", "fonts.json"), (".ipython/profile_default/startup", "00.py")):
        (files / folder).mkdir(parents=True)
        (files / folder / name).write_text("STARTED = True")
    monkeypatch.setenv("GRADER_SECRET", "s3cret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = {"PORT": server.getsockname()[1], "COURSE": str(tmp_path), "HOME": str(Path.home())}
        values = "\n".join(f"{name} = {value!r}" for name, value in here.items())
        book, statements = notebook(
            values + LOOK,
            ("errors", ["first = 1", "1 / 0", emit("after an error"), "undefined_name", emit("last", "first")]),
            ("many", [f"for n in range(10_000): {emit('many')}"]),
            emit("outside"),
            "for n in range(400): print('x' * 65536)",
            "for n in range(5000): display(n)",
            "import subprocess; print(subprocess.Popen(['sleep', '98765'], start_new_session=True).pid > 0)",
        )
        transcript = run.execute(book, statements, files=pack(files))
    seen: dict[str, Any] = json.loads(printed(book.cells[0]))
    assert "s3cret" not in json.dumps(seen)
    assert "GRADER_SECRET" not in seen["environment"]
    assert [name for name in seen["files"] if not name.startswith(".")] == ["data", "helper.py", "numpy.py"]
    assert seen["hidden"] == []
    assert "site-packages" in seen["numpy"]
    assert seen["helper"] == 42
    assert not seen["startup"]
    assert seen["network"] in ("OSError", "TimeoutError", "gaierror")
    assert seen["loopback"] == "ConnectionRefusedError"
    assert not seen["course"]
    bound = [Path(p) for p in (sys.prefix, sys.base_prefix, dlcourse.__file__) if Path(p).is_relative_to(Path.home())]
    assert set(seen["home"]) <= {path.relative_to(Path.home()).parts[0] for path in bound}
    assert seen["processes"] <= 4
    assert seen["scratch"]
    assert seen["written"] in ("OSError", "PermissionError")
    assert seen["asked"] == "StdinNotImplementedError"

    errors, many = transcript.cells["errors"], transcript.cells["many"]
    assert causes(errors) == [("1 / 0", "error"), ("undefined_name", "error")]
    assert errors.failures[0].why == "ZeroDivisionError: division by zero"
    assert labels(errors) == ["after an error", "last"]
    assert len(many.emissions) == MAX_EMISSIONS
    assert many.failures == []
    assert book.cells[3].outputs == []
    for bomb in book.cells[4:6]:
        assert len(json.dumps(bomb)) < outputs.MAX_OUTPUT + 2**20
        assert len(bomb.outputs) <= outputs.MAX_MESSAGES + 1
        assert "more output than is kept" in bomb.outputs[-1].text
    assert printed(book.cells[6]) == "True\n"
    assert running("98765") == []


def test_a_timeout_costs_what_depends_on_it_and_halves_the_patience(
    scratch_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell that never ends is stopped and the next ones run; the next that never ends is stopped sooner."""
    monkeypatch.setattr(run, "PATIENCE", 2)
    book, statements = notebook(
        "kept = 1",
        "while True: pass",
        ("loops", [emit("before"), "while True: pass", emit("after")]),
        ("fine", [emit("fine", "kept")]),
    )
    transcript = run.execute(book, statements, cell_seconds=4, sandboxed=False)
    assert "[stopped after 4 seconds]" in str(book.cells[1].outputs)
    loops = transcript.cells["loops"]
    assert labels(loops) == ["before"]
    assert causes(loops) == [("while True: pass", "timeout"), (emit("after"), "timeout")]
    assert loops.failures[0].why == "stopped after 2 seconds"
    assert labels(transcript.cells["fine"]) == ["fine"]
    assert transcript.seconds < 20


def test_a_cell_that_swallows_interrupts_ends_the_kernel(scratch_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that ignores the interrupt is ended with its kernel; what comes after has the cause timeout."""
    monkeypatch.setattr(run, "PATIENCE", 1)
    stubborn = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    book, statements = notebook(("stubborn", [emit("before"), stubborn]), "print(1)", ("after", [emit("after")]))
    transcript = run.execute(book, statements, cell_seconds=1, sandboxed=False)
    assert labels(transcript.cells["stubborn"]) == ["before"]
    assert causes(transcript.cells["stubborn"]) == [(stubborn, "timeout")]
    assert book.cells[1].outputs == []
    assert causes(transcript.cells["after"]) == [(emit("after"), "timeout")]
    assert transcript.seconds < 20


def test_the_time_of_a_notebook_is_bounded(scratch_root: Path) -> None:
    """When the notebook's time is used up, the rest is not run and says so."""
    book, statements = notebook("while True: pass", ("after", [emit("after")]))
    transcript = run.execute(book, statements, notebook_seconds=1, sandboxed=False)
    assert transcript.cells["after"].failures[0].why.startswith("not run")
    assert causes(transcript.cells["after"]) == [(emit("after"), "timeout")]
    assert transcript.seconds < 20


def test_a_dead_kernel_keeps_what_was_emitted_before(scratch_root: Path) -> None:
    """``os._exit`` in a statement: values before it stand, the rest of the notebook has the cause kernel_died."""
    exits = "import os; os._exit(0)"
    book, statements = notebook(("dies", [emit("before"), exits, emit("lost")]), "print(1)", ("after", [emit("after")]))
    transcript = run.execute(book, statements, sandboxed=False)
    assert labels(transcript.cells["dies"]) == ["before"]
    assert causes(transcript.cells["dies"]) == [(exits, "kernel_died"), (emit("lost"), "kernel_died")]
    assert causes(transcript.cells["after"]) == [(emit("after"), "kernel_died")]
    assert book.cells[1].outputs == []


def test_a_message_that_is_too_large_neither_hangs_nor_costs_memory(
    scratch_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One display of 100 MB is not taken in: the run goes on or ends with a cause, within its time."""
    monkeypatch.setattr(run, "PATIENCE", 1)
    book, statements = notebook(
        ("before", [emit("before")]), "display({'text/plain': 'x' * 100_000_000}, raw=True)", ("after", [emit("after")])
    )
    transcript = run.execute(book, statements, cell_seconds=4, sandboxed=False)
    assert labels(transcript.cells["before"]) == ["before"]
    assert len(json.dumps(book)) < outputs.MAX_OUTPUT
    after = transcript.cells["after"]
    assert labels(after) == ["after"] or causes(after)[0][1] in ("timeout", "kernel_died")
    assert transcript.seconds < 25


FORGED = """
kernel = get_ipython().kernel
def send(kind, content):
    kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent())
for content in ({}, {"data": 3}, {"data": {"text/plain": 1}, "metadata": 3}, {"name": 3, "text": []}, [], 3):
    for kind in ("stream", "display_data", "execute_result", "error", "update_display_data", "status", "comm_open",
                 "comm_msg", "clear_output", "execute_input"):
        send(kind, content)
"""


def test_forged_messages_cost_only_their_sender(scratch_root: Path) -> None:
    """Messages of every kind with senseless content: what came before stands, and the run ends in the ordinary way."""
    garbage = "kernel.iopub_socket.send_multipart([b'<IDS|MSG>', b'no', b'message'])"
    book, statements = notebook(
        ("before", [emit("before")]), FORGED, ("between", [emit("between")]), garbage, ("after", [emit("after")])
    )
    transcript = run.execute(book, statements, cell_seconds=5, sandboxed=False)
    assert labels(transcript.cells["before"]) == ["before"]
    assert labels(transcript.cells["between"]) == ["between"]
    after = transcript.cells["after"]
    assert labels(after) == ["after"] or causes(after)[0][1] == "kernel_died"
