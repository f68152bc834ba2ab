"""Run a solution and record what it emits as the references of its notebook."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from dlcourse.build.lint import literal_labels
from dlcourse.errors import CourseError
from dlcourse.grading.judge import judge_cell
from dlcourse.grading.kernel import Kernel
from dlcourse.grading.key import budgets, is_test, read_reference, source_digest, statements_of
from dlcourse.grading.run import Transcript, execute
from dlcourse.grading.scratch import pack
from dlcourse.payload import PayloadError, decode

NOTEBOOK_SECONDS, CELL_SECONDS, GRADED_SECONDS = 60.0, 20.0, 20.0  # where a notebook says nothing else of the first two


def record(source: NotebookNode, files: Path) -> tuple[dict[str, Any], Transcript]:
    """Run the solution twice, once to record and once as a submission.

    Returns:
        The references as they are stored, and the transcript of the second run with the executed notebook.

    Raises:
        CourseError: the solution raises, leaves a check without a value, does not get full marks from its own
            references, or takes longer than its budget. The message names every cell concerned.
    """
    statements = statements_of(source)
    data = pack(files)
    transcript = execute(copy.deepcopy(source), statements, mode="record", sandboxed=False, files=data, **_LIMITS)
    problems: list[str] = []
    cells: dict[str, dict[str, Any]] = {}
    for cell in source.cells:
        if is_test(cell):
            grade_id = cell.metadata.nbgrader.grade_id
            ran = transcript.cells[grade_id]
            problems += [
                f"{grade_id}: the solution fails in `{f.source.splitlines()[0][:60]}`: {f.why}" for f in ran.failures
            ]
            hidden = {label for s in statements[grade_id] if s.hidden for label in literal_labels(s.source)}
            cells[grade_id] = {}
            for payload in ran.emissions:
                problems += _add(cells[grade_id], grade_id, payload, hidden)
            problems += [
                f"{grade_id}: the check {label!r} recorded no reference"
                for label in literal_labels(cell.source)
                if label not in cells[grade_id]
            ]
            checks = cells[grade_id].values()
            if checks and not any(check["weight"] > 0 for check in checks):
                problems.append(f"{grade_id}: no check has a weight, so no point could be earned")
    if problems:
        raise CourseError("\n".join(problems))
    executed = copy.deepcopy(source)
    clock = _Clock()
    again = execute(executed, statements, sandboxed=False, files=data, finished=clock.read, **_LIMITS)
    again.notebook = executed
    clock.correct(again)
    problems = [*_not_full(source, cells, again), *_too_slow(source, again)]
    if problems:
        raise CourseError("\n".join(problems))
    return {"format": 1, "source_sha256": source_digest(source), "cells": cells}, again


_LIMITS: dict[str, Any] = {"cell_seconds": 300.0, "notebook_seconds": 900.0}


def _add(cell: dict[str, Any], grade_id: str, payload: Any, hidden: set[str]) -> list[str]:
    label = payload["label"]
    if label in cell:
        return [f"{grade_id}: two checks are labelled {label!r}"]
    if not (isinstance(payload["weight"], (int, float)) and payload["weight"] >= 0):
        return [f"{grade_id}: the check {label!r} has the weight {payload['weight']!r}"]
    try:
        decode(payload["value"])
        decode(payload["reference"])
    except PayloadError as error:
        return [f"{grade_id}: the solution's value for {label!r} cannot be graded: {error}"]
    cell[label] = {
        "kind": payload["kind"],
        "value": payload["reference"],
        "params": payload["params"],
        "weight": payload["weight"],
        "hint": payload["hint"],
        "hidden": label in hidden,
    }
    return []


def _not_full(source: NotebookNode, cells: dict[str, Any], again: Transcript) -> list[str]:
    problems = []
    for cell in source.cells:
        if not is_test(cell) or not cells[cell.metadata.nbgrader.grade_id]:
            continue
        grade_id = cell.metadata.nbgrader.grade_id
        references = {label: read_reference(check) for label, check in cells[grade_id].items()}
        ran = again.cells[grade_id]
        verdict = judge_cell(references, ran.emissions, float(cell.metadata.nbgrader.points), ran.failures)
        problems += [
            f"{grade_id}: the solution does not pass its own check {c.label!r}: {c.message}"
            for c in verdict.checks
            if not c.passed
        ]
    return problems


class _Clock:
    """Asks a kernel for its processor time: on a busy machine a notebook takes longer and costs no more."""

    seconds = 0.0

    def read(self, kernel: Kernel) -> None:
        kernel.run("import time; print(time.process_time())", 60, self._take)

    def _take(self, message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            self.seconds = float(message["content"]["text"])

    def correct(self, run: Transcript) -> None:
        """Turn the seconds that passed into seconds of the processor."""
        share = min(1.0, self.seconds / run.seconds)
        run.seconds *= share
        run.graded_seconds *= share
        run.longest = (run.longest[0], run.longest[1] * share)


def _too_slow(source: NotebookNode, run: Transcript) -> list[str]:
    stated, stated_cell = budgets(source)
    budget, cell_budget = stated or NOTEBOOK_SECONDS, stated_cell or CELL_SECONDS
    line, longest = run.longest
    problems = []
    if run.seconds > budget:
        problems.append(f"the notebook took {run.seconds:.0f} s, its budget is {budget:.0f} s")
    if run.graded_seconds > GRADED_SECONDS:
        problems.append(f"the graded cells took {run.graded_seconds:.0f} s, their budget is {GRADED_SECONDS:.0f} s")
    if longest > cell_budget / 3:
        problems.append(
            f"`{line}` took {longest:.1f} s, and a submission's cell is stopped after {cell_budget:.0f} s: "
            "make it shorter, or give more time in metadata.dlcourse.cell_seconds (three times as much as it takes)"
        )
    return problems


def dump(recorded: dict[str, Any]) -> str:
    """The text of a reference file: the same references give the same bytes."""
    return json.dumps(recorded, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
