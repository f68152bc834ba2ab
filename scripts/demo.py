"""``make demo``: the whole way for the sample class, in a scratch copy of the course.

Build the release, grade every submission, write feedback pages and PDFs, and compare the scores with those that stand
beside the samples. The results lie in .demo/.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from make_sample import ASSIGNMENT, NOTEBOOK, ROOT, SAMPLE
from rich.console import Console
from rich.table import Table

DEMO = ROOT / ".demo"
console = Console()


def course(*arguments: str) -> None:
    """Run a command as a person would; stop when it fails."""
    console.print(f"$ course {' '.join(arguments)}", style="bold", highlight=False)
    ended = subprocess.run([str(Path(sys.executable).parent / "course"), *arguments], cwd=DEMO, check=False)
    if ended.returncode:
        sys.exit(ended.returncode)


def main() -> int:
    begin = time.monotonic()
    shutil.rmtree(DEMO, ignore_errors=True)
    for name in ("source", "submitted", "tests/audit"):
        shutil.copytree(ROOT / name, DEMO / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    shutil.copy(ROOT / "nbgrader_config.py", DEMO)
    course("build", ASSIGNMENT)
    course("grade", ASSIGNMENT, "--json", "scores.json")
    for sample in SAMPLE:
        executed = Path("autograded", sample.name, ASSIGNMENT, f"{NOTEBOOK}.ipynb")
        course("pdf", str(executed), "-o", f"{sample.name}.pdf", "--name", sample.name)
    return scores(begin)


def scores(begin: float) -> int:
    """Print what each submission got beside what it should get; return 1 where they differ."""
    import json

    report = json.loads((DEMO / "scores.json").read_text("utf-8"))
    got = {one["student"]: one for one in report["submissions"]}
    table = Table(title=f"The sample class, {ASSIGNMENT}", title_justify="left")
    for column in ("submission", "shows", "points", "expected", "cause"):
        table.add_column(column, justify="right" if column in ("points", "expected") else "left")
    wrong = 0
    for sample in SAMPLE:
        one = got.get(sample.name, {"score": None, "cause": "not graded"})
        right = one["score"] is not None and (round(one["score"], 2), one["cause"]) == (sample.score, sample.cause)
        wrong += not right
        points = "–" if one["score"] is None else f"{round(one['score'], 2):g}"
        table.add_row(
            sample.name, sample.shows, points, f"{sample.score:g}", one["cause"] or "", style="" if right else "red"
        )
    console.print(table)
    console.print("2 of the 30 points are for an answer in words and wait for grading by hand.")
    console.print(
        f"Feedback: {DEMO.name}/feedback/*/{ASSIGNMENT}/{NOTEBOOK}.html   PDFs: {DEMO.name}/*.pdf", highlight=False
    )
    console.print(f"{time.monotonic() - begin:.0f} seconds.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
