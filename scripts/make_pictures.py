"""Make the pictures of terminal sessions in docs/: real commands on the sample class, in a scratch copy."""

from __future__ import annotations

import csv
import shutil
import tempfile
from pathlib import Path

from terminal_picture import picture, session

ROOT = Path(__file__).resolve().parent.parent
ASSIGNMENT = "ps6_rnn"


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


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        course = scratch_course(Path(folder))
        images = ROOT / "docs" / "img"
        export = f"course export canvas {ASSIGNMENT} Grades.csv --anyway --yes"
        packages = [f"course export students {ASSIGNMENT}", f"course export autograder {ASSIGNMENT}"]
        picture(session([f"course grade {ASSIGNMENT}"], course), images / "grade.png")
        picture(session([export], course), images / "export_canvas.png")
        picture(session(packages, course), images / "export_packages.png")


if __name__ == "__main__":
    main()
