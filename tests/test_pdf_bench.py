"""The bench measures what it says: its plumbing, not its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import pdf as bench  # noqa: E402


def test_one_round_writes_its_figures(tmp_path):
    """One notebook, one way, one round: seconds and memory are measured and written."""
    figures = tmp_path / "figures.json"
    arguments = [
        "--rounds",
        "1",
        "--ways",
        "exporter",
        "--notebooks",
        "log",
        "--class-size",
        "1",
        "--json",
        str(figures),
    ]
    subprocess.run([sys.executable, str(ROOT / "bench" / "pdf.py"), *arguments], check=True, capture_output=True)
    found = json.loads(figures.read_text())
    assert 0.05 < found["seconds"]["log"]["exporter"] == found["seconds_max"]
    assert 20 < found["memory_mib_max"] < 300
    assert found["class_pdfs"] == found["class_size"] == 1
    assert {"ratio_to_webpdf", "ratio_to_xelatex"} <= found.keys()


def test_ratios_leave_out_what_one_of_both_cannot_print():
    """A ratio compares the same notebooks; a way that fails costs its own figure only."""
    times = {
        "a": {"webpdf": 4.0, "exporter": 1.0},
        "b": {"webpdf": None, "exporter": 1.0},
        "c": {"webpdf": 9.0, "exporter": 1.5},
    }
    assert bench.ratio(times, "webpdf", "exporter") == 5.0
    assert bench.ratio(times, "xelatex", "exporter") is None


def test_the_other_ways_print_a_notebook_of_each_assignment():
    """The slow ways print one of each assignment, and each notebook that is made for the bench."""
    names = ["ps3-network", "ps3-training", "ps1-theory", "ps1-by_hand", "log", "figures"]
    assert bench.compared(names) == {"ps3-network", "ps1-by_hand", "log", "figures"}


def test_a_failing_way_is_no_time(tmp_path, monkeypatch):
    """A command that ends without a PDF counts as a failure, however fast it was."""
    monkeypatch.setattr(bench, "command", lambda way, notebook, output: [sys.executable, "-c", "pass"])
    assert bench.seconds("webpdf", tmp_path / "x.ipynb", tmp_path / "x.pdf", {}) is None
