"""The table of attacks in docs/security.md, the tests that it names, and the guard around stock nbgrader."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import attack_stock
import pytest
import stock_attacks

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_agrees_with_tests_and_script() -> None:
    """A row for each attack of the script, with what was measured; each test that it names is there."""
    table = (ROOT / "docs" / "security.md").read_text("utf-8").partition("| attack |")[2]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == [attack.name for attack in stock_attacks.ATTACKS]
    assert all(len(row) == 4 and row[3] for row in rows)
    places = [*Path(__file__).parent.glob("test_attack_[!t]*.py"), ROOT / "tests" / "files" / "attacks" / "probes.py"]
    known = "".join(path.read_text("utf-8") for path in places)
    for name in (name for row in rows for name in re.findall(r"`([^`]+)`", row[2])):
        assert f'"{name}"' in known or f"def {name}(" in known, name


LOOK = """
import json, os, pathlib, signal, socket
def refused(attempt):
    try: attempt()
    except OSError: return True
print(json.dumps({
    "outside": [p for p in OUTSIDE if os.path.exists(p)],
    "read-only": all(refused(lambda: pathlib.Path(p, "x").write_text("x")) for p in ("/", "/usr", "/base", SCRIPTS)),
    "network": [name for _, name in socket.if_nameindex()],
    "processes": len([p for p in os.listdir("/proc") if p.isdigit()]),
    "home": [os.path.expanduser("~"), os.environ.get("OUTSIDE")],
    "full": refused(lambda: os.posix_fallocate(os.open("big", os.O_RDWR | os.O_CREAT), 0, 2**40)),
}))
"""


def test_the_guard_around_stock_nbgrader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stock nbgrader runs sees and changes nothing of this machine, and is ended with what it started."""
    (tmp_path / "base").mkdir()
    (tmp_path / "private").touch()
    monkeypatch.setenv("OUTSIDE", "s3cret")
    look = f"OUTSIDE = {[str(tmp_path), str(ROOT / 'source')]!r}\nSCRIPTS = {str(ROOT / 'scripts')!r}\n{LOOK}"
    command = attack_stock.guard(tmp_path / "base", sys.executable, "-c", look)
    seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert seen["outside"] == [] and seen["read-only"] and seen["full"]
    assert seen["network"] == ["lo"] and seen["processes"] <= 3
    assert seen["home"] == ["/scratch/home", None]
