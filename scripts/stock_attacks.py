"""Attacks on a plain nbgrader course, for ``attack_stock.py``; sizes are bounded, and all run inside its guard alone.

The course asks for ``square(x)``. Its two test cells have a point each, their hidden tests compare with ``==`` and with
``np.testing.assert_allclose``. Whoever attacks answers wrongly and should have no point.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

WRONG = "\ndef square(x):\n    return 0 * x\n"
SECRET = "s3cret-marker"
CANARY = "open(f'../../../canary-{os.getcwd().split(os.sep)[-2]}', 'w').write('x')"  # in the course directory


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: of its row in docs/security.md.
        code: of the answer cell.
        notebook: changes the notebook that is handed in.
        beside: puts files into the folder of the submission.
        owed: points that the answer deserves.
        alone: whether it has a class of its own, since it does, or may do, something to the others.
        marker: what stands in the command line of a process that it leaves behind.
    """

    name: str
    code: str = WRONG
    notebook: Callable[[NotebookNode], None] = lambda notebook: None
    beside: Callable[[Path], None] = lambda folder: None
    owed: int = 0
    alone: bool = False
    marker: str = "no process"


def _tag(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.metadata["tags"] = ["skip-execution"]


def _points(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.metadata.nbgrader.points = 100


def _numpy(folder: Path) -> None:
    (folder / "numpy.py").write_text(
        "class testing:\n    assert_allclose = staticmethod(lambda *a, **k: None)\narray = lambda x: 0\n"
    )


def _link(folder: Path) -> None:
    (folder / "data.txt").symlink_to(Path.home() / "private.txt")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def _deep(folder: Path) -> None:
    for _ in range(1200):
        folder /= "d"
        folder.mkdir()


def _cut(folder: Path) -> None:
    (folder / "hw.ipynb").write_text('{"cells": [{"cell_type": "code", ')


READ = "import json, os, re, sqlite3, subprocess, time\n"
SOLVED = READ + "exec(next(''.join(c['source']) for c in json.load(open(PATH))['cells'] if 'def square' in str(c)))\n"
BELATED = """
import os, sqlite3, time
OWN = ("select id from submitted_notebook where assignment_id in "
       "(select id from submitted_assignment where student_id = ?)")
for _ in range(400):
    try:
        with sqlite3.connect("../../../gradebook.db", timeout=1) as book:
            me = os.getcwd().split(os.sep)[-2]
            book.execute(f"update grade set manual_score = 1 where notebook_id in ({OWN})", (me,))
    except Exception: pass
    time.sleep(0.05)
"""
ATTACKS = (
    Attack("numpy's comparison is replaced", "np.testing.assert_allclose = lambda *a, **k: None" + WRONG),
    Attack(
        "an object that equals everything",
        "class Yes(np.ndarray):\n    def __eq__(self, other): return True\n"
        "    def __array_function__(self, *a, **k): return True\n"
        "    def __array_ufunc__(self, *a, **k): return np.True_\n"
        "def square(x): return np.zeros(()).view(Yes)",
    ),
    Attack(
        "an AST transformer takes asserts out",
        "import ast\nclass Drop(ast.NodeTransformer):\n    def visit_Assert(self, node): return ast.Pass()\n"
        "    def visit_Expr(self, node): return ast.Pass() if 'assert' in ast.dump(node) else node\n"
        "get_ipython().ast_transformers.append(Drop())" + WRONG,
    ),
    Attack("exceptions are not shown", "get_ipython().set_custom_exc((Exception,), lambda *a, **k: None)" + WRONG),
    Attack("the tag `skip-execution`", notebook=_tag),
    Attack("raised points in the metadata", notebook=_points),
    Attack(
        "hidden tests read from the disk",
        READ + "known = dict(re.findall(r'square\\((\\d+)\\) == (\\d+)', open('hw.ipynb').read()))\n"
        "print('SEEN', known)\ndef square(x): return int(known.get(str(x), 0))",
    ),
    Attack(
        "hidden tests read from `In`",
        READ + "def square(x):\n    found = re.search(rf'square\\({x}\\) == (\\d+)', In[-1])\n"
        "    return int(found[1]) if found else 0",
    ),
    Attack("the solution read from `source/`", "PATH = '../../../source/hw/hw.ipynb'\n" + SOLVED),
    Attack("another student's answer read", "PATH = '../../../submitted/a_honest/hw/hw.ipynb'\n" + SOLVED),
    Attack(
        "the gradebook read",
        READ + "print(sqlite3.connect('../../../gradebook.db').execute('select * from student').fetchall())" + WRONG,
    ),
    Attack(
        "the gradebook written to",
        READ + "with sqlite3.connect('../../../gradebook.db', timeout=5) as book:\n"
        "    book.execute('update grade set auto_score = 0')\n"
        f"subprocess.Popen(['python', '-c', {BELATED!r}], start_new_session=True)" + WRONG,
        alone=True,
    ),
    Attack(
        "environment and home read",
        READ + "print(os.environ.get('GRADER_PASSWORD'), open(os.path.expanduser('~/private.txt')).read())" + WRONG,
    ),
    Attack(
        "a connection to a port on loopback",
        "import socket\nsocket.create_connection(('127.0.0.1', 40404)).send(b'out')" + WRONG,
    ),
    Attack(
        "files written outside",
        "import os\n" + CANARY + WRONG,
    ),
    Attack(
        "a process that stays",
        READ + "for _ in range(2): subprocess.Popen(['sleep', '67676'], start_new_session=True)" + WRONG,
        marker="67676",
    ),
    Attack(
        "start-up code left for the next",
        READ + "os.makedirs(os.path.expanduser('~/.ipython/profile_default/startup'), exist_ok=True)\n"
        "open(os.path.expanduser('~/.ipython/profile_default/startup/x.py'), 'w').write("
        "'import numpy\\nnumpy.testing.assert_allclose = lambda *a, **k: 1 / 0')" + WRONG,
        alone=True,
    ),
    Attack("`numpy.py` beside the notebook", beside=_numpy),
    Attack(
        "a fork bomb",
        "import os, time\nfor _ in range(300):\n    if os.fork() == 0:\n        os.closerange(0, 1024)\n"
        "        os.execvp('sleep', ['sleep', '57575'])\n" + CANARY + WRONG,
        marker="57575",
    ),
    Attack(
        "a memory bomb",
        "import os\nkept = np.ones(2**27)\n" + CANARY + WRONG,
    ),
    Attack(
        "a disk bomb",
        "import os\nwith open('x', 'wb') as file:\n    for _ in range(512): file.write(bytes(2**20))\n"
        + CANARY
        + WRONG,
    ),
    Attack("an output bomb", "for _ in range(60): print('x' * 2**20)" + WRONG),
    Attack(
        "displays changed a thousandfold",
        "from IPython.display import publish_display_data\n"
        "for _ in range(1000): publish_display_data({'text/plain': 'x'}, transient={'display_id': 'one'})\n"
        "publish_display_data({'text/plain': 'x' * 2**17}, transient={'display_id': 'one'}, update=True)" + WRONG,
    ),
    Attack(
        "a loop that swallows interrupts",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass" + WRONG,
        alone=True,
    ),
    Attack("`os._exit`", "import os\nos._exit(0)" + WRONG),
    Attack("the parent killed", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)" + WRONG, alone=True),
    Attack("a link to a file outside", beside=_link),
    Attack("a pipe beside the notebook", beside=_pipe, code="def square(x): return x * x", owed=2, alone=True),
    Attack("folders 1,200 deep", beside=_deep, code="def square(x): return x * x", owed=2, alone=True),
    Attack("a cut-off notebook", beside=_cut),
    Attack(
        "a script in an output",
        "from IPython.display import HTML, display\ndisplay(HTML('<script>alert(1)</script>'))" + WRONG,
    ),
)
