"""The sheet: what a released notebook carries in its metadata, so that a learner can check and pack it on a laptop."""

from __future__ import annotations

import datetime
import hashlib
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nbformat import NotebookNode

from dlcourse.errors import CourseError
from dlcourse.pdf.pages import template_in

FIRST_CELL = "install-course"  # the id of the cell that a download starts with; to grading it is the learner's own
FORMAT = 1
# What a cell of the release is: kept as it is (locked, given, heading), worked in (answer, free), filled in.
ROLES = ("locked", "given", "heading", "answer", "free", "collaborators")
_NAME = re.compile(r"[^/\\\x00{}]{1,100}")
_STEM = re.compile(r"(?:[^/\\\x00{}]|\{(?:last|first)\}){1,200}")
COLLABORATORS_HOLDER, TEAM_HOLDER = "YOUR COLLABORATORS HERE", "YOUR TEAM HERE"


@dataclass(frozen=True)
class ReleasedCell:
    """One cell of the release: its id, its grade_id or "", its role, a digest of its text."""

    cell_id: str
    grade_id: str
    role: str
    digest: str


@dataclass(frozen=True)
class Sheet:
    """The rules and the cells of one released notebook."""

    assignment: str
    notebook: str
    notebooks: list[str]  # of the assignment
    stem: str  # the name of a hand-in, with {last} and {first}
    course: str
    team: int
    rules: list[str]  # those that are on
    penalties: dict[str, float]  # percent
    comment_lines: int
    max_pages: int
    layout: str  # of the PDF: "natural", or "template" for the pages below
    due: str | None  # ISO 8601 with its offset: a learner's machine may have no time zones
    headings: dict[str, str] = field(default_factory=dict)  # by grade_id of the answer
    cells: list[ReleasedCell] = field(default_factory=list)
    pages: dict[str, int] = field(default_factory=dict)  # by question; stands beside the sheet, measured after it

    def as_metadata(self) -> dict[str, Any]:
        """JSON for a notebook's metadata: a cell is one line."""
        cells = [f"{c.cell_id} {c.grade_id or '-'} {c.role} {c.digest}" for c in self.cells]
        about = {name: value for name, value in asdict(self).items() if name != "pages"}
        return {"format": FORMAT, **about, "cells": cells}

    def deadline(self) -> datetime.datetime | None:
        """When the assignment is due."""
        return datetime.datetime.fromisoformat(self.due) if self.due else None


def sheet_of(notebook: NotebookNode) -> Sheet | None:
    """The sheet in a notebook's metadata; None where it has none, as after some editors.

    Raises:
        CourseError: it is there and cannot be read.
    """
    about = notebook.metadata.get("dlcourse")
    stored = about.get("handin") if isinstance(about, dict) else None
    if stored is None:
        return None
    try:
        return replace(_read(dict(stored)), pages=template_in(notebook))
    except (TypeError, ValueError, KeyError) as error:
        raise CourseError(
            "The hand-in rules in the notebook's metadata cannot be read: it was made by another version of the "
            "course, or edited. Name the notebook as it was handed out with --release FILE."
        ) from error


def _read(stored: dict[str, Any]) -> Sheet:
    if stored.pop("format") != FORMAT:
        raise ValueError("another format")
    cells = [ReleasedCell(*line.split(" ")) for line in stored.pop("cells")]
    cells = [ReleasedCell(c.cell_id, "" if c.grade_id == "-" else c.grade_id, c.role, c.digest) for c in cells]
    sheet = Sheet(**stored, cells=cells)
    texts = [sheet.assignment, sheet.notebook, sheet.stem, sheet.course, *sheet.notebooks, *sheet.rules]
    pairs = [*sheet.penalties.items(), *sheet.headings.items()]
    typed = [
        all(isinstance(text, str) for text in [*texts, *sheet.headings.values()]),
        all(isinstance(name, str) for name, _ in pairs),
        all(isinstance(percent, (int, float)) for percent in sheet.penalties.values()),
        all(type(number) is int for number in (sheet.team, sheet.comment_lines, sheet.max_pages)),
        all(cell.role in ROLES for cell in cells),
        sheet.layout in ("natural", "template"),
        sheet.due is None or sheet.deadline(),
        _STEM.fullmatch(sheet.stem),  # it becomes a format string and a file name
        all(_NAME.fullmatch(name) for name in [sheet.notebook, *sheet.notebooks]),
    ]
    if not all(typed):
        raise ValueError("a value of another type")
    return sheet


def digest(text: str) -> str:
    """A digest of a cell's text that editors leave alone: trailing blanks and line ends do not count."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").strip().split("\n")]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()[:16]
