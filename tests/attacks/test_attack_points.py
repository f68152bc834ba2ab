"""Attacks on the score: whatever a kernel does to its own Python, points are for values that are right.

Each attacker answers question 1, of 3 points, with a forgery, and question 2, of 2 points, honestly.
"""

from __future__ import annotations

from pathlib import Path

import pytest

WRONG = "\ndef mean(x):\n    return 0.0\n"
RAISES = "\ndef mean(x):\n    raise ValueError('no idea')\n"
EMIT = """
from IPython.display import display
from dlcourse.payload import MIME, encode_array
def emit(label, value, kind="close"):
    display({MIME: {"kind": kind, "label": label, "value": value}}, raw=True)
"""
LABELS = "('mean of three', 'mean of squares', 'input unchanged')"

# name: what stands in the answer cell, and the score and cause that it must get
ATTACKS: dict[str, tuple[str, float, str]] = {
    "input_transformer_drops_checks": (
        "get_ipython().input_transformers_post.append(lambda lines: [l for l in lines if 'check.' not in l])" + WRONG,
        0,
        "missing",
    ),
    "input_transformer_types_a_value_in": (
        "import re\nget_ipython().input_transformers_post.append("
        "lambda lines: [re.sub(r'_?mean\\(_?[xy]\\)', '3.0', l) for l in lines])" + WRONG,
        0,
        "wrong",
    ),
    "ast_transformer": (
        """
import ast
class Forge(ast.NodeTransformer):
    def visit_Call(self, node):
        if isinstance(node.func, ast.Attribute) and node.func.attr == "close":
            node.args[1:2] = [ast.copy_location(ast.Constant(3.0), node)]
        return node
get_ipython().ast_transformers.append(Forge())"""
        + WRONG,
        0,
        "wrong",
    ),
    "set_custom_exc": ("get_ipython().set_custom_exc((Exception,), lambda *a, **k: None)" + RAISES, 2, "missing"),
    "showtraceback": ("get_ipython().showtraceback = lambda *a, **k: None" + RAISES, 2, "missing"),
    "error_reply_forged": (
        """
kernel = get_ipython().kernel
real = kernel.session.send
def send(stream, msg, *a, **k):
    if msg == "error":
        return None
    return real(stream, msg, *a, **k)
kernel.session.send = send"""
        + RAISES,
        2,
        "missing",
    ),
    "displayhook": (
        "import sys\nsys.displayhook = lambda *a: None\n"
        "get_ipython().display_pub.publish = lambda *a, **k: None" + WRONG,
        0,
        "missing",
    ),
    "session_send_rewrites_values": (
        """
kernel = get_ipython().kernel
real = kernel.session.send
def send(stream, msg, *a, **k):
    if isinstance(msg, dict) and msg["msg_type"] == "display_data":
        for data in msg["content"]["data"].values():
            if isinstance(data, dict) and data["kind"] == "close":
                data.update(value={"json": True}, passed=True, score=3, points=300, weight=0)
    return real(stream, msg, *a, **k)
kernel.session.send = send"""
        + WRONG,
        0,
        "wrong",
    ),
    "emitted_before_the_test": (
        EMIT + f"for label in {LABELS}: emit(label, encode_array(35.5))" + WRONG,
        2,
        "wrong",
    ),
    "emitted_inside_the_test": (
        EMIT + f"def mean(x):\n    for label in {LABELS}: emit(label, encode_array(3.0))\n    return 3.0",
        2,
        "wrong",
    ),
    "value_of_the_visible_check": ("def mean(x):\n    return 3.0", 2, "wrong"),
    "replayed_from_the_visible_check": (
        """
pub = get_ipython().display_pub
real, first = pub.publish, []
def publish(data, **k):
    for payload in data.values():
        if isinstance(payload, dict) and payload["kind"] == "close":
            first.append(dict(payload))
            payload["value"] = first[0]["value"]
    return real(data, **k)
pub.publish = publish
def mean(x):
    return 3.0""",
        0,
        "wrong",
    ),
    "emitted_by_a_thread": (
        EMIT
        + """
import threading, time
def flood():
    for n in range(200):
        time.sleep(0.01)
        emit("mean of squares", encode_array(float(n)))
threading.Thread(target=flood, daemon=True).start()"""
        + WRONG,
        2,
        "wrong",
    ),
    "nan": ("def mean(x):\n    return float('nan')", 2, "wrong"),
    "equal_to_everything": (
        """
class Yes(float):
    def __eq__(self, other): return True
    def __array__(self, *a, **k): return self
    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __sub__ = __rsub__ = __abs__ = lambda *a: Yes()
    shape, dtype, __array_priority__ = (), np.dtype(float), 1e9
    def __reduce__(self): return (exit, ())
def mean(x):
    return Yes()""",
        2,
        "wrong",
    ),
    "array_that_lies": (
        """
class Lies(np.ndarray):
    def __array_ufunc__(self, *a, **k): return np.True_
    def __array_function__(self, *a, **k): return np.True_
    def tobytes(self, *a): return b"\\0" * 8
def mean(x):
    return np.zeros(()).view(Lies)""",
        2,
        "wrong",
    ),
    "huge_array": ("def mean(x):\n    return np.zeros(30_000_000)", 2, "wrong"),
    "patched_numpy": (
        "np.testing.assert_allclose = lambda *a, **k: None\n"
        "np.allclose = np.array_equal = lambda *a, **k: True\nnp.isclose = lambda a, b, **k: np.True_\n"
        "np.abs = np.absolute = lambda a: np.zeros_like(a)" + WRONG,
        2,
        "wrong",
    ),
    "patched_builtins": (
        "import builtins\nbuiltins.all = builtins.any = lambda *a: True\nbuiltins.abs = lambda x: 0" + WRONG,
        0,
        "error",
    ),
    "patched_check": ("for name in check.__all__: setattr(check, name, lambda *a, **k: None)" + WRONG, 0, "error"),
    "patched_encoder": (
        "check.encode_array = lambda value: {'json': True}\ncheck.PREDICATES.clear()" + WRONG,
        0,
        "wrong",
    ),
    "other_mode": ("import os\nos.environ['DLCOURSE_CHECK'] = 'record'" + WRONG, 2, "error"),
    "patched_judge": (
        """
import sys, types
from dlcourse import predicates
from dlcourse.grading import judge, run, job
judge.judge_cell = lambda *a: judge.CellVerdict(3.0, 3.0, None)
judge._judge_check = predicates.PREDICATES["close"] = lambda *a: predicates.Outcome(True)
sys.modules["dlcourse.grading.judge"] = sys.modules["nbgrader"] = types.ModuleType("x")"""
        + WRONG,
        2,
        "wrong",
    ),
    "stand_in_stolen_later": (
        # question 2 hands a right mean to `isolated`; question 1 is over by then
        EMIT
        + """
real = check.isolated
def isolated(function, **stand_ins):
    if "mean" in stand_ins:
        emit("mean of squares", encode_array(stand_ins["mean"](np.linspace(2.0, 9.0, 7) ** 2)))
    return real(function, **stand_ins)
check.isolated = isolated"""
        + WRONG,
        2,
        "wrong",
    ),
    "pickle": (
        EMIT
        + """
import base64, io, os
class Reduce:
    def __reduce__(self): return (os.mkdir, ("CANARY",))
def mean(x):
    file = io.BytesIO()
    np.save(file, np.array([Reduce()], object), allow_pickle=True)
    emit("mean of squares", {"npy": base64.b64encode(file.getvalue()).decode()})
    return Reduce()""",
        2,
        "wrong",
    ),
}
SEARCH = r"""
import gc, re, sys
gc.unfreeze()
secret = re.compile(rb"mean of [s]quares|BEGIN [H]IDDEN|s3cret-[m]arker|s3cret-[c]ourse|linspace\(2[.]0, 9[.]0")
found = set()
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        span, rights, _, _, inode, *path = line.split()
        start, end = (int(side, 16) for side in span.split("-"))
        if rights[0] == "r" and inode == "0" and path not in (["[vvar]"], ["[vsyscall]"], ["[vvar_vclock]"]):
            while start < end:
                try:
                    memory.seek(start)
                    found.update(secret.findall(memory.read(min(2**24, end - start))))
                except OSError:
                    pass
                start += 2**24
objects = [o for o in gc.get_objects() if isinstance(o, (str, dict, list, tuple))]
frame, frames = sys._getframe(), 0
while frame:
    frames += 1
    found.update(secret.findall(repr(list(frame.f_locals)).encode()))
    frame = frame.f_back
print("SEARCHED", len(objects) > 10_000, frames > 1, sorted(found), len(objects), frames)
"""


@pytest.fixture(scope="module")
def graded(classroom, tmp_path_factory):
    """All attackers and three honest students, graded together."""
    canary = tmp_path_factory.mktemp("outside") / "canary"
    room = classroom()
    for name, (text, _, _) in ATTACKS.items():
        room.hand_in(name, q1_mean=text.replace("CANARY", str(canary)))
    room.hand_in("search", SEARCH)
    tagged = room.hand_in("tags", q1_mean=WRONG)
    for cell in tagged.cells:
        cell.metadata["tags"] = ["skip-execution", "raises-exception", "remove-cell", "nbgrader-ok"]
        cell.metadata["deletable"] = cell.metadata["editable"] = True
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"]["points"] = 300
        cell.metadata["dlcourse"] = {"score": 300.0, "max_score": 300.0, "cause": None, "checks": []}
    tagged.metadata["dlcourse"] = {"cause": None, "message": "", "repairs": [], "seconds": 0}
    room.write("tags", tagged)
    metadata = room.hand_in("metadata")
    metadata.metadata["kernelspec"] = {"name": "evil", "argv": ["mkdir", str(canary)], "display_name": "<script>"}
    metadata.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"x": "<script>" * 9999}}}
    metadata.metadata["language_info"] = {"file_extension": "/../../../evil", "name": "../evil", "version": {}}
    room.write("metadata", metadata)
    (room.folder("malformed")).mkdir(parents=True)
    (room.folder("malformed") / "sums.ipynb").write_text('{"cells": [{"cell_type": "code", "source": ', "utf-8")
    room.hand_in(
        "markup",
        "from IPython.display import HTML, Javascript, display\n"
        "display(HTML('<script>alert(1)</script><img src=x onerror=alert(1)>'), Javascript('alert(1)'))\n"
        "print('\\x1b]0;owned\\x07\\x1b[2J<script>alert(1)</script>')",
        q3_words="<script>alert(1)</script> [x](javascript:alert(1))",
    )
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADER_PASSWORD", "s3cret-marker")
    room.grade()
    patch.undo()
    assert not canary.exists()
    return room


@pytest.mark.parametrize("name", ATTACKS)
def test_a_forgery_gains_nothing(name: str, graded) -> None:
    """No more than question 2's points, which were earned, and the cause says what was found."""
    assert graded.verdict(name) == (ATTACKS[name][1], ATTACKS[name][2])


def test_metadata_gains_nothing(graded) -> None:
    """Tags that skip cells, raised points, a verdict and a kernel of one's own: as if they were not there."""
    assert graded.verdict("tags") == (2, "wrong")
    assert graded.verdict("metadata") == (5, None)
    assert graded.verdict("malformed") == (0, "unreadable")


def test_a_kernel_holds_nothing_of_what_comes_later(graded) -> None:
    """Its whole memory, its objects and frames: no hidden test, no path of the course, no secret of the grader."""
    assert "SEARCHED True True []" in graded.printed("search")
    assert graded.verdict("search") == (5, None)


def test_markup_stays_text(graded) -> None:
    """What a submission prints as HTML or script is no markup in its feedback."""
    page = Path(graded.course.path("feedback", "tiny", "markup") / "sums.html").read_text("utf-8")
    assert "<script" not in page and "onerror=" not in page.replace("onerror=alert(1)&gt;", "")
    assert "\x1b" not in page and 'href="javascript' not in page
    assert graded.verdict("markup") == (5, None)


def test_the_honest_ones_are_not_harmed(graded) -> None:
    """Who was graded before, among and after the attackers has full marks."""
    assert [graded.verdict(name) for name in ("a_honest", "m_honest", "z_honest")] == [(5, None)] * 3
    assert graded.failed == {}
