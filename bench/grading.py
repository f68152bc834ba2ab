"""How fast a class is graded: ours against stock nbgrader, and against the least that running the cells can cost.

    python bench/grading.py                     the four ways, in turns, medians of five runs
    python bench/grading.py --growth            also classes of 24, 100 and 400, ours with two workers
    python bench/grading.py --class imports     a tiny notebook that imports torch and torchvision
    python bench/grading.py --cluster           also a Dask cluster of two local workers

(a) stock: `nbgrader autograde` and `nbgrader generate_feedback` with a configuration that names no part of ours;
(b) ours with one worker, (c) ours with two: `course grade`, sandboxed, feedback included; (d) the limit: a process that
has imported everything forks, and the fork runs the cells and draws the figures. Each is a whole process, start-up
included. Only ratios within one run mean anything: the machine may be busy. So that five runs end within 20 minutes,
(a), (b) and (d) grade a sample of the class; start-up then weighs more in (b) than in the whole class.
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
import threading
import time
from pathlib import Path

import nbformat
import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
STOCK = """c = get_config()
c.CourseDirectory.course_id = "stock"
c.CourseDirectory.ignore = [".ipynb_checkpoints", "reference", ".*"]
"""
# What a class is mixed from: the sample class without the endless loop, which measures a time limit and no speed.
LEFT_OUT = ("never_ends",)
IMPORTS = "import torch\nimport torchvision\n\n\ndef total(x):\n    return float(torch.tensor(x).sum())"
console = Console()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=24, help="submissions in the class")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sample", type=int, help="submissions of (b) and (d): 9 of the sample class, else all")
    parser.add_argument("--stock-sample", type=int, default=4, help="submissions of (a)")
    parser.add_argument("--class", dest="kind", choices=["sample", "imports"], default="sample")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        report = Bench(Path(folder), options.kind).report(options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


class Bench:
    """A course to measure with, in a folder of its own."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self.base = folder / "base"
        self.base.mkdir()
        self.assignment, self.notebook = ("ps6_rnn", "rnn") if kind == "sample" else ("imports", "imports")
        if kind == "sample":
            shutil.copytree(ROOT / "source" / self.assignment, self.base / "source" / self.assignment)
        else:
            _write_imports(self.base / "source" / "imports")
        shutil.copy(ROOT / "nbgrader_config.py", self.base)
        _call(self.base, "course", "build", self.assignment)
        self.submissions = self._submissions()

    def _submissions(self) -> list[Path]:
        if self.kind == "sample":
            found = sorted((ROOT / "submitted").glob(f"*/{self.assignment}/*.ipynb"))
            return [path for path in found if path.parent.parent.name not in LEFT_OUT]
        release = self.base / "release" / "imports" / "imports.ipynb"
        solved = nbformat.read(release, as_version=4)
        next(c for c in solved.cells if c.metadata.get("nbgrader", {}).get("solution")).source = IMPORTS
        path = self.folder / "imports.ipynb"
        nbformat.write(solved, path)
        return [path]

    def course(self, name: str, size: int) -> Path:
        """A fresh course directory with a class of ``size``, mixed evenly."""
        course = self.folder / name
        shutil.rmtree(course, ignore_errors=True)
        shutil.copytree(self.base, course)
        for number in range(size):
            target = course / "submitted" / f"s{number:04d}" / self.assignment / f"{self.notebook}.ipynb"
            target.parent.mkdir(parents=True)
            kinds = len(self.submissions)
            kind = number % kinds if size >= kinds else number * kinds // size
            shutil.copy(self.submissions[kind], target)
        return course

    def stock(self, size: int) -> Measured:
        """(a): the gradebook is made before the clock starts, as ours is by `course build`."""
        course = self.course("stock", size)
        (course / "nbgrader_config.py").write_text(STOCK)
        (course / "gradebook.db").unlink()
        _call(course, "nbgrader", "generate_assignment", self.assignment, "--force")
        with Measured() as measured:
            _call(course, "nbgrader", "autograde", self.assignment, check=False)
            _call(course, "nbgrader", "generate_feedback", self.assignment, check=False)
        return measured

    def ours(self, size: int, workers: int, *more: str) -> Measured:
        """(b), (c)."""
        course = self.course("ours", size)
        arguments = ["--workers", str(workers), "--sandbox", "bubblewrap", "--json", "report.json", *more]
        with Measured() as measured:
            _call(course, "course", "grade", self.assignment, *arguments)
        report = json.loads((course / "report.json").read_text("utf-8"))
        assert len(report["submissions"]) == size
        assert not report["failed"], report["failed"]
        return measured

    def limit(self, size: int) -> Measured:
        """(d)."""
        course = self.course("limit", size)
        with Measured() as measured:
            subprocess.run([sys.executable, __file__, "--limit", course], check=True)
        return measured

    def report(self, options: argparse.Namespace) -> dict[str, object]:
        seconds: dict[str, list[float]] = {name: [] for name in "abcd"}
        memory: dict[str, float] = {}
        sample = min(options.sample or (len(self.submissions) if self.kind == "sample" else options.n), options.n)
        sizes = {"a": min(options.stock_sample, options.n), "b": sample, "c": options.n, "d": sample}
        for run in range(options.runs):
            for name, measure in (
                ("a", self.stock), ("b", lambda n: self.ours(n, 1)), ("c", lambda n: self.ours(n, 2)), ("d", self.limit)
            ):  # fmt: skip
                measured = measure(sizes[name])
                seconds[name].append(measured.seconds / sizes[name])
                memory[name] = max(memory.get(name, 0), measured.memory)
            console.print(f"run {run + 1}: " + ", ".join(f"({k}) {v[-1]:.2f} s" for k, v in seconds.items()))
        each = {name: statistics.median(found) for name, found in seconds.items()}
        _print_ways(each, memory, sizes)
        report: dict[str, object] = {
            "class": options.kind,
            "size": options.n,
            "seconds_per_submission": seconds,
            "median": each,
            "memory_mib": memory,
            "ratio_to_stock": each["a"] / each["c"],
            "ratio_to_limit": each["b"] / each["d"],
            "growth": {},
        }
        if options.growth:
            report["growth"] = self._growth()
        if options.cluster:
            report["cluster_to_two_workers"] = self._cluster(options) / each["c"]
        return report

    def _growth(self) -> dict[int, dict[str, float]]:
        table = Table(title="(c) over the size of the class", title_justify="left")
        for column in ("submissions", "seconds each", "a minute", "peak memory, MiB"):
            table.add_column(column, justify="right")
        found = {}
        for size in (24, 100, 400):
            measured = self.ours(size, 2)
            each = measured.seconds / size
            found[size] = {"seconds_per_submission": each, "memory_mib": measured.memory}
            table.add_row(str(size), f"{each:.2f}", f"{60 / each:.0f}", f"{measured.memory:.0f}")
        console.print(table)
        return found

    def _cluster(self, options: argparse.Namespace) -> float:
        address = f"{self.folder}/scheduler.json"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": self.folder}
        own = ["--no-dashboard", "--scheduler-file", address]
        started = [subprocess.Popen([BIN / "dask", "scheduler", "--port", "0", *own], **quiet)]
        time.sleep(5)
        single = ["--nthreads", "1", "--no-nanny"]
        started += [subprocess.Popen([BIN / "dask", "worker", *single, *own], **quiet) for _ in "12"]
        time.sleep(8)
        url = json.loads(Path(address).read_text("utf-8"))["address"]
        try:
            found = [self.ours(options.n, 2, "--scheduler", url).seconds / options.n for _ in range(options.runs)]
        finally:
            for process in started:
                process.kill()
        console.print(f"Dask, two workers: {statistics.median(found):.2f} s each")
        return statistics.median(found)


class Measured:
    """Seconds of a block, and the most memory, in MiB, that processes started by this one held together."""

    seconds = memory = 0.0

    def __enter__(self) -> Measured:
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._begin = time.monotonic()
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._begin
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            total = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    total += process.memory_full_info().pss
                except (psutil.Error, OSError):
                    continue
            self.memory = max(self.memory, total / 2**20)


def _call(folder: Path, program: str, *arguments: str, check: bool = True) -> None:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    ended = subprocess.run(
        [BIN / program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if check and ended.returncode:
        sys.exit(f"{program} {' '.join(arguments)}: {ended.stderr[-2000:]}")


def _print_ways(each: dict[str, float], memory: dict[str, float], sizes: dict[str, int]) -> None:
    names = {"a": "stock nbgrader", "b": "1 worker", "c": "2 workers", "d": "fork, run cells"}
    table = Table(title="Grading a class", title_justify="left")
    for column in (
        "",
        "way",
        "graded",
        "s each",
        "a minute",
        "stock / it",
        "it / limit",
        "peak MiB",
    ):
        table.add_column(column, justify="left" if column in ("", "way") else "right")
    for name, way in names.items():
        table.add_row(
            name, way, str(sizes[name]), f"{each[name]:.2f}", f"{60 / each[name]:.0f}",
            f"{each['a'] / each[name]:.1f}", f"{each[name] / each['d']:.1f}", f"{memory[name]:.0f}",
        )  # fmt: skip
    console.print(table)


def _write_imports(folder: Path) -> None:
    """A notebook of one question whose time is all imports."""
    folder.mkdir(parents=True)
    solution = IMPORTS.replace("    return", "    ### BEGIN SOLUTION\n    return") + "\n    ### END SOLUTION"
    hidden = 'check.close("sum", total([1.0, 2.5]))'
    test = f"from dlcourse import check\n\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
    cells = [
        nbformat.v4.new_markdown_cell("# Imports", id="title"),
        nbformat.v4.new_markdown_cell("## Question 1: a sum [1 points]\nAdd the numbers up.", id="q1"),
        nbformat.v4.new_code_cell(solution, id="q1_total"),
        nbformat.v4.new_code_cell(test, id="q1_total_test"),
    ]
    own = {"schema_version": 3, "task": False}
    cells[2].metadata["nbgrader"] = {**own, "grade_id": "q1_total", "grade": False, "solution": True, "locked": False}
    cells[3].metadata["nbgrader"] = {
        **own, "grade_id": "q1_total_test", "grade": True, "solution": False, "locked": True, "points": 1
    }  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "imports.ipynb")


def run_limit(course: Path) -> None:
    """Fork for each submission and run its cells, test cells included, in the fork; figures are drawn too."""
    import io

    from dlcourse.grading import forkserver
    from dlcourse.grading.intake import take_in
    from dlcourse.grading.key import is_test, statements_of

    os.environ.update(DLCOURSE_CHECK="emit", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    forkserver.warm_up()
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    for path in sorted(course.glob("submitted/*/*/*.ipynb")):
        assignment = path.parent.name
        release = nbformat.read(course / "release" / assignment / path.name, as_version=4)
        statements = statements_of(nbformat.read(course / "source" / assignment / path.name, as_version=4))
        sources = []
        for cell in take_in(path, release).cells:
            if cell.cell_type == "code":
                own = statements[cell.metadata.nbgrader.grade_id] if is_test(cell) else [cell]
                sources += [one.source for one in own]
        pid = os.fork()
        if pid == 0:
            sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
            names = {"__name__": "__main__", "display": lambda *values, **options: None}
            for source in sources:
                try:
                    exec(compile(source.replace("%matplotlib inline", ""), "cell", "exec"), names)
                except Exception:
                    continue
                finally:
                    for number in plt.get_fignums():
                        picture = {"format": "png", "bbox_inches": "tight", "dpi": mpl.rcParams["figure.dpi"]}
                        plt.figure(number).savefig(io.BytesIO(), **picture)
                    plt.close("all")
            os._exit(0)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--limit"]:
        run_limit(Path(sys.argv[2]))
    else:
        sys.exit(main())
