"""Make the pictures of terminal sessions in docs/: real commands on the sample class, in a scratch copy."""

from __future__ import annotations

import csv
import html
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
ASSIGNMENT = "ps6_rnn"
WIDTH = 112  # characters


def scratch_course(folder: Path) -> Path:
    """The sample class as it is handed in, and a gradebook as Canvas exports it, with some grades of an earlier day."""
    for name in ("source", "release", "submitted"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("nbgrader_config.py", "gradebook.db"):
        shutil.copy(ROOT / name, folder)
    rows = [["Student", "ID", "SIS Login ID", "Section", "Quiz 1 (20111)", f"{ASSIGNMENT} (20112)", "Current Score"]]
    rows.append(["    Points Possible", "", "", "", "10.00", "30.00", "(read only)"])
    earlier = {"full_marks": "28.00", "half_done": "15.00", "crashes": "EX"}
    for number, student in enumerate(
        sorted(path.name for path in (folder / "submitted").iterdir() if path.is_dir()), 1
    ):
        rows.append([f"Sample, {student}", str(9000 + number), student, "A", "", earlier.get(student, ""), ""])
    rows[-1] = ["Sample, somebody else", "9099", "somebody_else", "A", "", "", ""]
    with (folder / "Grades.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return folder


def session(folder: Path, *commands: str) -> str:
    """What a terminal shows for some commands, colours included."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    shown = []
    for command in commands:
        ended = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = re.sub(r"\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A", "", ended.stdout).split("\n")
        kept = [line.rsplit("\r", 1)[-1] for line in lines if "Grading" not in line]
        shown.append(f"\x1b[1;32m$\x1b[0m \x1b[1m{command}\x1b[0m\n" + "\n".join(kept).strip("\n"))
    return "\n\n".join(shown)


def picture(text: str, path: Path) -> None:
    """Draw terminal text with Debian's Chromium."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(text), soft_wrap=True)
    body = console.export_html(inline_styles=True, code_format="{code}")
    page = (
        "<meta charset=utf-8><body style='margin:0;background:#fff'><pre style='margin:0;padding:16px 20px;"
        f"font:14px/1.35 DejaVu Sans Mono,monospace;display:inline-block'>{body}</pre>"
    )
    assert html.escape("$") in page
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        view = browser.new_page(device_scale_factor=1.5)
        view.set_content(page)
        view.locator("pre").screenshot(path=str(path))
        browser.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        course = scratch_course(Path(folder))
        images = ROOT / "docs" / "img"
        picture(session(course, f"course grade {ASSIGNMENT}"), images / "grade.png")
        export = f"course export canvas {ASSIGNMENT} Grades.csv --anyway --yes"
        picture(session(course, export), images / "export_canvas.png")
        packages = [f"course export students {ASSIGNMENT}", f"course export autograder {ASSIGNMENT}"]
        picture(session(course, *packages), images / "export_packages.png")


if __name__ == "__main__":
    main()
