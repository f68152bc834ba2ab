"""``course audit``: is the grader fair? Wrong answers must lose exactly their points, right ones none."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context

import nbformat
from nbformat import NotebookNode

from dlcourse.audit import tree
from dlcourse.audit.answers import Answer, deletions, load, solutions
from dlcourse.course import Course
from dlcourse.grading import warm
from dlcourse.grading.judge import CellVerdict, judge_cell
from dlcourse.grading.key import AnswerKey, is_test
from dlcourse.grading.run import CellRun, execute

WAYS = (("float64", 1), ("float64", 2), ("float32", 1))  # in which a right answer is run: precision, threads
Verdicts = dict[str, CellVerdict]
Job = tuple[dict[str, str], int]  # the text of cells by grade_id, and threads


@dataclass
class Question:
    """What the audit found for one graded cell.

    Attributes:
        noise: the largest distance of a right answer from the reference, in units of the tolerance.
        nearest: of the wrong answers the one closest to passing, in the same units.
    """

    grade_id: str
    points: float
    caught: int = 0
    wrong: int = 0
    kept: int = 0
    right: int = 0
    noise: float = 0.0
    nearest: float = math.inf
    findings: list[str] = field(default_factory=list)


def audit(
    course: Course,
    assignment: str,
    notebook: str,
    *,
    lines: bool = False,
    quick: bool = False,
    say: Callable[[int, int], None] = lambda d, t: None,
) -> list[Question]:
    """Run every written-down answer to a notebook through run and judge.

    Args:
        lines: also every answer that lacks one statement of the solution, and every emptied function.
        quick: for the test suite. Wrong answers to different questions share a notebook, which must fail what they fail
            together, no more and no less; where it does not, they run alone. Right answers run with one thread.
        say: called with the number of notebooks run and to be run.

    Raises:
        CourseError: the notebook is not built, or its answers are missing or malformed.
    """
    key = AnswerKey.load(course, assignment, notebook)
    source = nbformat.read(course.path("source", assignment) / f"{notebook}.ipynb", as_version=4)
    answers = load(course.root / "tests" / "audit" / assignment / f"{notebook}.toml", source)
    last = max(n for n, cell in enumerate(source.cells) if is_test(cell))
    trunk = nbformat.v4.new_notebook(cells=source.cells[: last + 1])
    owner = _owners(trunk)
    questions = {c.metadata.nbgrader.grade_id: Question(c.metadata.nbgrader.grade_id, float(c.metadata.nbgrader.points))
                 for c in trunk.cells if is_test(c)}  # fmt: skip
    # Right answers, and solutions without a line, share a notebook: one for each question.
    right, shortened = _groups(answers.right), _groups(deletions(source, answers.harmless) if lines else [])
    wrong = _groups(answers.wrong, lambda a: owner[a.grade_id]) if quick else [[a] for a in answers.wrong]
    ways = [way for way in WAYS if way[1] == 1] if quick else WAYS
    jobs: list[Job] = [({a.grade_id: a.source for a in group}, 1) for group in wrong + shortened]
    jobs += [(_written(group, precision), threads) for group in right for precision, threads in ways]
    verdicts = iter(_run_all(trunk, key, jobs, say))
    doubtful: list[Answer] = []
    for group in wrong:
        found = next(verdicts)
        if len(group) == 1:
            _wrong(group[0], found, owner, questions)
        elif _as_written(group, found, owner):
            for answer in group:
                _count(questions[owner[answer.grade_id]], found[owner[answer.grade_id]], caught=True)
        else:
            doubtful += group
    again: list[Job] = [({answer.grade_id: answer.source}, 1) for answer in doubtful]
    for answer, found in zip(doubtful, _run_all(trunk, key, again, say) if again else (), strict=True):
        _wrong(answer, found, owner, questions)
    for group in shortened:
        _shortened(group, next(verdicts), owner, questions)
    for group in right:
        for precision, threads in ways:
            _right(group, next(verdicts), f"{precision}, {threads} thread{'s' * (threads > 1)}", owner, questions)
    return list(questions.values())


def _owners(trunk: NotebookNode) -> dict[str, str]:
    """For each solution cell the test cell that follows it."""
    owner: dict[str, str] = {}
    waiting: list[str] = []
    for cell in trunk.cells:
        if is_test(cell):
            owner.update(dict.fromkeys(waiting, cell.metadata.nbgrader.grade_id))
            waiting = []
        elif cell.metadata.get("nbgrader", {}).get("solution"):
            waiting.append(cell.metadata.nbgrader.grade_id)
    return owner


def _groups(
    answers: Iterable[Answer], place: Callable[[Answer], str] = lambda answer: answer.grade_id
) -> list[list[Answer]]:
    """Answers with different places, side by side in one notebook: the first of each, the second of each, …"""
    by_cell: dict[str, list[Answer]] = {}
    for answer in answers:
        by_cell.setdefault(place(answer), []).append(answer)
    depth = max(map(len, by_cell.values()), default=0)
    return [[rows[n] for rows in by_cell.values() if n < len(rows)] for n in range(depth)]


def _written(group: Iterable[Answer], precision: str) -> dict[str, str]:
    """The cells of right answers, their functions wrapped where single precision is asked."""
    cells = {}
    for answer in group:
        cells[answer.grade_id] = answer.source
        if precision == "float32" and answer.functions:
            wraps = "\n".join(f"{name} = in_float32({name})" for name in answer.functions)
            cells[answer.grade_id] += f"\n\nfrom dlcourse.audit.float32 import in_float32\n\n{wraps}\n"
    return cells


def _run_all(trunk: NotebookNode, key: AnswerKey, jobs: list[Job], say: Callable[[int, int], None]) -> list[Verdicts]:
    """The verdicts on each job. With one thread they share what comes before their cell; the others run as submissions
    do, and so does what ended its process."""
    found: dict[int, Verdicts] = {}
    single = [number for number, (_, threads) in enumerate(jobs) if threads == 1]
    for place, cells in tree.run_all(trunk, key.statements, [jobs[number][0] for number in single]):
        found[single[place]] = _judged(trunk, key, cells)
        say(len(found), len(jobs))
    left = [number for number in range(len(jobs)) if number not in found]
    servers = {threads: warm.server(threads).address for threads in {jobs[number][1] for number in left}}
    with ProcessPoolExecutor(os.cpu_count(), get_context("forkserver"), _begin, (servers,)) as pool:
        ran = pool.map(partial(_run, trunk, key), [jobs[number] for number in left])
        for number, verdicts in zip(left, ran, strict=True):
            found[number] = verdicts
            say(len(found), len(jobs))
    return [found[number] for number in range(len(jobs))]


def _begin(servers: dict[int, str]) -> None:
    for threads, address in servers.items():
        warm.lend(address, threads)


def _run(trunk: NotebookNode, key: AnswerKey, job: Job) -> Verdicts:
    cells, threads = job
    notebook = copy.deepcopy(trunk)
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = cells.get(grade_id, cell.source)
    ran = execute(
        notebook,
        key.statements,
        sandboxed=False,
        threads=threads,
        figures=False,
        cell_seconds=tree.CELL_SECONDS,
        notebook_seconds=tree.NOTEBOOK_SECONDS,
    )
    return _judged(trunk, key, ran.cells)


def _judged(trunk: NotebookNode, key: AnswerKey, ran: dict[str, CellRun]) -> Verdicts:
    verdicts = {}
    for cell in filter(is_test, trunk.cells):
        grade_id = cell.metadata.nbgrader.grade_id
        did = ran[grade_id]
        points = float(cell.metadata.nbgrader.points)
        verdicts[grade_id] = judge_cell(key.references[grade_id], did.emissions, points, did.failures)
    return verdicts


def _failed(verdicts: Verdicts) -> set[str]:
    return {f"{grade_id}/{check.label}" for grade_id, v in verdicts.items() for check in v.checks if not check.passed}


def _as_written(group: list[Answer], verdicts: Verdicts, owner: dict[str, str]) -> bool:
    """Wrong answers side by side fail what they should fail together, and each is said to cost points in its own
    question and in no other."""
    weighted = {f"{grade_id}/{check.label}" for grade_id, v in verdicts.items() for check in v.checks if check.weight}
    costs = [{label.split("/")[0] for label in answer.fails & weighted} for answer in group]
    own = [{owner[answer.grade_id]} for answer in group]
    return costs == own and _failed(verdicts) == {label for answer in group for label in answer.fails}


def _wrong(answer: Answer, verdicts: Verdicts, owner: dict[str, str], questions: dict[str, Question]) -> None:
    own = owner[answer.grade_id]
    problems = []
    if verdicts[own].score >= verdicts[own].max_score:
        problems.append("loses no point")
    for grade_id, verdict in verdicts.items():
        if grade_id != own and verdict.score < verdict.max_score:
            problems.append(f"also loses {verdict.max_score - verdict.score:g} points in {grade_id}")
    failed = _failed(verdicts)
    if failed != answer.fails:
        problems += [f"must fail {label!r}" for label in sorted(answer.fails - failed)]
        problems += [f"fails {label!r}, which is not written down" for label in sorted(failed - answer.fails)]
    _count(questions[own], verdicts[own], caught=not problems)
    if problems:
        questions[own].findings.append(f"wrong answer {answer.name!r} ({answer.why}): {'; '.join(problems)}")


def _count(question: Question, verdict: CellVerdict, *, caught: bool) -> None:
    """Count a wrong answer, and note how near it came to passing."""
    question.wrong += 1
    question.caught += caught
    distances = [check.distance for check in verdict.checks if not check.passed and check.weight > 0]
    measured = [distance for distance in distances if distance is not None]
    if measured and len(measured) == len(distances):
        question.nearest = min(question.nearest, max(measured))


def _shortened(group: list[Answer], verdicts: Verdicts, owner: dict[str, str], questions: dict[str, Question]) -> None:
    for answer in group:
        question, verdict = questions[owner[answer.grade_id]], verdicts[owner[answer.grade_id]]
        question.wrong += 1
        if verdict.score < verdict.max_score:
            question.caught += 1
        else:
            question.findings.append(f"{answer.name}: loses no point")


def _right(
    group: list[Answer], verdicts: Verdicts, how: str, owner: dict[str, str], questions: dict[str, Question]
) -> None:
    for answer in group:
        question = questions[owner[answer.grade_id]]
        verdict = verdicts[owner[answer.grade_id]]
        question.right += 1
        question.noise = max([question.noise, *(c.distance for c in verdict.checks if c.distance is not None)])
        failed = [check for check in verdict.checks if not check.passed]
        if failed:
            named = "; ".join(f"{check.label!r}: {check.message}" for check in failed)
            question.findings.append(f"right answer {answer.name!r} ({how}) fails {named}")
        else:
            question.kept += 1


__all__ = ["Question", "audit", "solutions"]
