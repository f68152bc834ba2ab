"""How long a PDF takes, beside nbconvert's own two ways: `--to webpdf` with Debian's Chromium, `--to pdf` with xelatex.

Run `make bench-pdf`: it installs what the other two ways need. Every time is the median of fresh processes; the ways
take turns, so that a busy machine slows all of them alike. Read the ratios, not the seconds. Our ways print every
notebook, the other two, which take far longer, the first of each assignment and those that stress one thing. On two
cores it takes half an hour, a third of it to run the notebooks.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
EXPORTER = (
    "import sys; from pathlib import Path; from dlcourse.pdf import notebook_to_pdf; "
    "notebook_to_pdf(Path(sys.argv[1]), Path(sys.argv[2]))"
)
OURS, THEIRS = ("exporter", "command"), ("webpdf", "xelatex")
console = Console()


def notebooks(folder: Path, only: list[str]) -> dict[str, Path]:
    """The notebooks to print: the course's own with their solutions executed, and three that each stress one thing."""
    sources = {f"{path.parent.name}-{path.stem}": path for path in sorted((ROOT / "source").glob("*/*.ipynb"))}
    chosen = {name: path for name, path in sources.items() if not only or name in only}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = [folder / f"{name}.ipynb" for name in chosen]
        found = dict(zip(chosen, pool.map(executed, chosen.values(), outputs), strict=True))
    for name, make in {"formulas": _formulas, "figures": _figures, "log": _log}.items():
        if not only or name in only:
            found[name] = folder / f"{name}.ipynb"
            nbformat.write(new_notebook(cells=make()), found[name])
    return found


def _formulas() -> list[nbformat.NotebookNode]:
    text = (ROOT / "tests" / "files" / "pdf" / "formulas.txt").read_text("utf-8")
    formulas = [line for line in text.split("\n# What must be refused")[0].split("\n") if line and line[0] != "#"]
    simple = [tex for tex in formulas if not any(word in tex for word in ("newcommand", "def\\", "DeclareMath", "CD"))]
    return [new_markdown_cell(f"Formula {i}: $${tex}$$") for i, tex in enumerate(simple)]


def _figures() -> list[nbformat.NotebookNode]:
    return [new_code_cell("plot()", outputs=[_figure(number)]) for number in range(12)]


def _log() -> list[nbformat.NotebookNode]:
    lines = [f"epoch {i:4d}  loss {1 / (i + 1):.6f}  accuracy {i / 1_500:.4f}" for i in range(1_500)]
    return [new_code_cell("train()", outputs=[new_output("stream", text="\n".join(lines))])]


def executed(source: Path, output: Path) -> Path:
    """Run a source notebook in a copy of its folder, for up to a minute; keep it with what it printed and drew."""
    console.print(f"running {source.parent.name}/{source.name}", highlight=False)
    copy = shutil.copytree(source.parent, output.with_suffix("")) / source.name
    options = ["--to", "notebook", "--execute", "--output-dir", str(output.parent), "--output", output.name]
    subprocess.run([sys.executable, "-m", "jupyter", "nbconvert", "--log-level", "ERROR", *options, copy], check=True)
    return output


def graded() -> Path:
    """A graded notebook of the sample class."""
    found = sorted((ROOT / "autograded" / "full_marks").glob("*/*.ipynb"))
    if not found:
        sys.exit("autograded/full_marks is missing. Run `make sample`, which makes it.")
    return found[0]


def _figure(seed: int) -> nbformat.NotebookNode:
    import base64
    import io

    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import numpy as np

    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot(np.random.default_rng(seed).normal(size=(200, 3)).cumsum(axis=0))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return new_output("display_data", data={"image/png": base64.b64encode(buffer.getvalue()).decode()})


def chromium_for_playwright(folder: Path) -> dict[str, str]:
    """The environment in which playwright finds Debian's Chromium: a link at the place where it looks for its own."""
    from playwright.sync_api import Error, sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is missing. Run `make bench-pdf`, which installs it.")
    environment = {**os.environ, "PLAYWRIGHT_BROWSERS_PATH": str(folder / "browsers")}
    os.environ.update(environment)
    with sync_playwright() as playwright:
        try:
            playwright.chromium.launch().close()
        except Error as error:
            wanted = [word for word in str(error).split() if word.startswith(str(folder))]
            Path(wanted[0]).parent.mkdir(parents=True)
            Path(wanted[0]).symlink_to(chromium)
    return environment


def command(way: str, notebook: Path, output: Path) -> list[str]:
    """The command that prints `notebook` to `output` in one of the ways."""
    if way == "exporter":
        return [sys.executable, "-c", EXPORTER, str(notebook), str(output)]
    kind = {"command": "gradescope", "webpdf": "webpdf", "xelatex": "pdf"}[way]
    options = ["--disable-chromium-sandbox"] if way == "webpdf" else []
    where = ["--output-dir", str(output.parent), "--output", output.stem, *options]
    return [sys.executable, "-m", "jupyter", "nbconvert", "--log-level", "ERROR", "--to", kind, *where, str(notebook)]


def peak_memory(notebook: Path, output: Path) -> float:
    """Resident memory of the exporter and its worker at their largest, in MiB."""
    process = subprocess.Popen(command("exporter", notebook, output))
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_maxrss / 1024


def seconds(way: str, notebook: Path, output: Path, environment: dict[str, str]) -> float | None:
    """How long one fresh process takes; None if it makes no PDF."""
    output.unlink(missing_ok=True)
    begin = time.perf_counter()
    try:
        subprocess.run(command(way, notebook, output), env=environment, capture_output=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        return None
    return time.perf_counter() - begin if output.is_file() else None


def compared(names: Iterable[str]) -> set[str]:
    """The notebooks that the other ways print too: the first of each assignment, and those that stress one thing."""
    first = {name.partition("-")[0]: name for name in sorted(names, reverse=True)}
    return set(first.values())


def measure(
    rounds: int, ways: tuple[str, ...], only: list[str]
) -> tuple[dict[str, dict[str, float | None]], dict[str, float]]:
    """Median seconds by notebook and way, and the exporter's memory by notebook."""
    with tempfile.TemporaryDirectory(prefix="bench-pdf-") as scratch:
        folder = Path(scratch)
        environment = chromium_for_playwright(folder) if "webpdf" in ways else dict(os.environ)
        wanted = notebooks(folder, only)
        memory = {name: peak_memory(path, folder / "memory.pdf") for name, path in wanted.items()}
        both = set(only) or compared(wanted)
        times: dict[str, dict[str, list[float | None]]] = {
            name: {way: [] for way in ways if way in OURS or name in both} for name in wanted
        }
        for number in range(rounds):
            for name, path in wanted.items():
                for way, taken in times[name].items():
                    if None not in taken:  # what failed once is not tried again
                        taken.append(seconds(way, path, folder / f"{name}-{way}.pdf", environment))
            console.print(f"round {number + 1} of {rounds} done", highlight=False)
    return {name: {way: _median(found) for way, found in by_way.items()} for name, by_way in times.items()}, memory


def _median(found: list[float | None]) -> float | None:
    kept = [value for value in found if value is not None]
    return statistics.median(kept) if len(kept) == len(found) else None


def ratio(times: dict[str, dict[str, float | None]], theirs: str, ours: str) -> float | None:
    """Their time over ours: the median over the notebooks that both print."""
    both = [(t[theirs], t[ours]) for t in times.values() if t.get(theirs) and t.get(ours)]
    return statistics.median(a / b for a, b in both if a and b) if both else None


def _seconds(by_way: dict[str, float | None], way: str) -> str:
    if way not in by_way:
        return ""
    return "fails" if (taken := by_way[way]) is None else f"{taken:.2f}"


def whole_class(size: int, workers: int) -> tuple[float, int]:
    """Seconds for a class, and how many PDFs were made: copies of a graded notebook, `course pdf --all`."""
    with tempfile.TemporaryDirectory(prefix="bench-pdf-") as scratch:
        course = Path(scratch)
        shutil.copy(ROOT / "nbgrader_config.py", course)
        notebook = graded()
        assignment = notebook.parent.name
        shutil.copytree(ROOT / "source" / assignment, course / "source" / assignment)
        for number in range(size):
            (course / "submitted" / f"student{number:03d}" / assignment).mkdir(parents=True)
            copy = course / "autograded" / f"student{number:03d}" / assignment / notebook.name
            copy.parent.mkdir(parents=True)
            shutil.copy(notebook, copy)
        begin = time.perf_counter()
        run = [str(Path(sys.executable).with_name("course")), "pdf", "--all", assignment, "--workers", str(workers)]
        subprocess.run(run, cwd=course, check=True, capture_output=True)
        return time.perf_counter() - begin, len(list(course.glob("pdf/**/*.pdf")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes for each notebook and way")
    parser.add_argument("--ways", nargs="+", choices=OURS + THEIRS, default=OURS + THEIRS)
    parser.add_argument("--notebooks", nargs="*", default=[], help="only these, in all ways")
    parser.add_argument("--class-size", type=int, default=100, help="PDFs of the class; 0 leaves it out")
    arguments = parser.parse_args()
    times, memory = measure(arguments.rounds, tuple(arguments.ways), arguments.notebooks)
    figures = {
        "ratio_to_webpdf": ratio(times, "webpdf", "exporter"),
        "ratio_to_xelatex": ratio(times, "xelatex", "exporter"),
        "command_ratio_to_webpdf": ratio(times, "webpdf", "command"),
        "command_ratio_to_xelatex": ratio(times, "xelatex", "command"),
        "seconds_max": max((t["exporter"] for t in times.values() if t.get("exporter")), default=None),
        "memory_mib_max": max(memory.values(), default=None),
        "seconds": times,
        "memory_mib": memory,
    }
    table = Table(title="Seconds for one PDF, medians", title_justify="left")
    table.add_column("notebook")
    for way in arguments.ways:
        table.add_column(way, justify="right")
    for name, by_way in times.items():
        table.add_row(name, *(_seconds(by_way, way) for way in arguments.ways))
    console.print(table)
    if arguments.class_size:
        figures["class_seconds"], figures["class_pdfs"] = whole_class(arguments.class_size, workers=2)
        figures["class_size"] = arguments.class_size
    for name, value in figures.items():
        if isinstance(value, (int, float)):
            console.print(f"{name}: {value:.2f}", highlight=False)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
