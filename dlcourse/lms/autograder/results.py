"""What Gradescope shows, as its results.json: checks that learners have at once, points and hints after publication.

What learners see at once comes from a run of the notebook without its hidden checks. What the run with hidden checks
tells is points, causes, labels and hints: words of the course's own, none that a learner's code could have chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode
from nbgrader.utils import compute_checksum

from dlcourse.grading.key import is_test
from dlcourse.payload import clean

AT_ONCE, LATER = "visible", "after_published"
MAX_NOTES = 40
CAUSES = {
    "unreadable": "The file could not be read as a notebook.",
    "not_submitted": "This notebook was not handed in.",
    "memory": "The kernel ran out of memory.",
    "timeout": "A cell ran out of time.",
    "kernel_died": "The kernel died.",
    "error": "A check could not be run: your code raised an exception, or an earlier cell did.",
    "missing": "A check gave no value.",
    "wrong": "A value is wrong.",
}


def results(
    notebooks: dict[str, tuple[NotebookNode, NotebookNode]], headings: dict[tuple[str, str], str], seconds: float
) -> dict[str, Any]:
    """The content of results.json.

    Args:
        notebooks: by name, the notebook judged without its hidden checks and the one judged with all.
        headings: the question that each graded cell (notebook, grade_id) belongs to.
        seconds: how long grading took.
    """
    tests: list[dict[str, Any]] = []
    notes: list[str] = []
    for name, (public, scored) in notebooks.items():
        about = scored.metadata.dlcourse
        notes += [f"{name}: {text}" for text in [about.message, *about.repairs] if text]
        seen = {c.metadata.nbgrader.grade_id: c for c in public.cells if is_test(c)}
        for cell in scored.cells:
            nbgrader = cell.metadata.get("nbgrader", {})
            if not nbgrader.get("grade"):
                continue
            title = headings[name, nbgrader.grade_id]
            if is_test(cell):
                tests += _test(title, nbgrader.grade_id, seen[nbgrader.grade_id], cell, len(tests))
            else:
                tests.append(_by_hand(title, cell))
    shown = notes[:MAX_NOTES] + ([f"… and {len(notes) - MAX_NOTES} more"] if len(notes) > MAX_NOTES else [])
    return {
        "output": clean("Notes on your file:", 100) + "".join(f"\n- {clean(one, 300)}" for one in shown)
        if shown
        else "",
        "output_format": "text",
        "visibility": AT_ONCE,
        "stdout_visibility": "hidden",
        "execution_time": round(seconds),
        "tests": tests,
        "extra_data": {"keys": {name: scored.metadata.dlcourse.key for name, (_, scored) in notebooks.items()}},
    }


def _test(
    title: str, grade_id: str, public: NotebookNode, scored: NotebookNode, number: int
) -> Iterator[dict[str, Any]]:
    visible = [check for check in public.metadata.dlcourse.checks if not check["hidden"]]
    if visible:
        passed = all(check["passed"] for check in visible)
        yield {
            "name": f"{title}: checks in the notebook ({grade_id})",
            "score": 0,
            "max_score": 0,
            "status": "passed" if passed else "failed",
            "visibility": AT_ONCE,
            "output_format": "text",
            "output": "\n".join(_visible(check) for check in visible),
        }
    verdict = scored.metadata.dlcourse
    lines = [_hidden(check) for check in verdict.checks if check["weight"] > 0]
    yield {
        "name": f"{title} ({grade_id})",
        "score": round(verdict.score, 6),
        "max_score": verdict.max_score,
        "status": "passed" if verdict.score == verdict.max_score else "failed",
        "visibility": LATER,
        "output_format": "text",
        "output": "\n".join([*([CAUSES[verdict.cause]] if verdict.cause else []), *lines]),
        "tags": [verdict.cause] if verdict.cause else [],
    }


def _visible(check: dict[str, Any]) -> str:
    if check["passed"]:
        return f"✓ {check['label']}"
    hint = f"\n  hint: {check['hint']}" if check["hint"] else ""
    return f"✗ {check['label']}: {clean(check['message'], 500)}{hint}"


def _hidden(check: dict[str, Any]) -> str:
    if check["passed"]:
        return f"✓ {check['label']}"
    return f"✗ {check['label']}" + (f"\n  hint: {check['hint']}" if check["hint"] else "")


def _by_hand(title: str, cell: NotebookNode) -> dict[str, Any]:
    open_ = cell.metadata.nbgrader.get("checksum") == compute_checksum(cell)
    return {
        "name": f"{title} ({cell.metadata.nbgrader.grade_id})",
        "score": 0,
        "max_score": 0,
        "visibility": AT_ONCE,
        "output_format": "text",
        "output": "No answer yet." if open_ else "Answered; graded by hand.",
    }
