"""The nbgrader preprocessor that makes a release ready to be handed in: headings, collaborators, the sheet."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from nbgrader.preprocessors import NbGraderPreprocessor

from dlcourse.grading.align import HEADING_ID
from dlcourse.handin.settings import RULES, HandIn
from dlcourse.handin.sheet import COLLABORATORS_HOLDER, TEAM_HOLDER, ReleasedCell, Sheet, digest

COLLABORATORS_ID = "collaborators"
_NUMBER = re.compile(r"^## Question (\w+):", re.MULTILINE)


class HandInSheet(NbGraderPreprocessor):
    """Write the solution headings and the collaborators cell into a release, and the sheet into its metadata."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        rules = HandIn.read(self.config, resources["nbgrader"]["assignment"])
        headings = solution_headings(nb, rules) if rules.on("headings") else {}
        roles = {}
        cells: list[NotebookNode] = []
        for cell in nb.cells:
            nbgrader = cell.metadata.get("nbgrader", {})
            if text := headings.get(nbgrader.get("grade_id", "")):
                heading = new_markdown_cell(red(text), id=f"{nbgrader.grade_id[:50]}{HEADING_ID}")
                roles[heading.id] = "heading"
                cells.append(heading)
            cells.append(cell)
            roles[cell.id] = _role(cell)
        if rules.on("collaborators"):
            cell = new_markdown_cell(_collaborators(rules.team), id=COLLABORATORS_ID)
            roles[cell.id] = "collaborators"
            cells.insert(1 if cells and cells[0].cell_type == "markdown" else 0, cell)
        nb.cells = cells
        sheet = self._sheet(rules, resources, headings)
        sheet.cells.extend(
            ReleasedCell(c.id, c.metadata.get("nbgrader", {}).get("grade_id", ""), roles[c.id], digest(c.source))
            for c in cells
        )
        about = nb.metadata.setdefault("dlcourse", nbformat.from_dict({}))
        about["handin"] = nbformat.from_dict(sheet.as_metadata())
        return nb, resources

    def _sheet(self, rules: HandIn, resources: ResourcesDict, headings: dict[str, str]) -> Sheet:
        named = resources["nbgrader"]
        assignment = named["assignment"]
        folder = Path(resources["metadata"]["path"])
        due = rules.deadline(assignment)
        return Sheet(
            assignment=assignment,
            notebook=named["notebook"],
            notebooks=sorted(path.stem for path in folder.glob("*.ipynb")),
            stem=stem(rules, assignment),
            course=rules.course,
            team=rules.team,
            rules=[rule for rule in RULES if rules.on(rule)],
            penalties={rule: percent for rule, percent in rules.penalties.items() if rules.on(rule) and percent},
            comment_lines=rules.comment_lines,
            max_pages=rules.max_pages,
            layout=rules.layout,
            due=due.isoformat() if due else None,
            headings=headings,
        )


def stem(rules: HandIn, assignment: str) -> str:
    """The name of a hand-in of this course, with {last} and {first} still open; what is empty leaves no gap."""
    values = {"course": rules.course, "term": rules.term, "number": rules.number(assignment), "assignment": assignment}
    values = {name: re.sub(r"[^\w.+-]+", "-", value) for name, value in values.items()}
    filled = rules.pattern.format(last="{last}", first="{first}", **values)
    return re.sub(r"_{2,}", "_", filled).strip("_")


def solution_headings(nb: NotebookNode, rules: HandIn) -> dict[str, str]:
    """The heading of every answer, by grade_id: its problem, and its part where the problem has several answers."""
    questions: dict[str, list[str]] = {}
    question = ""
    for cell in nb.cells:
        if cell.cell_type == "markdown" and (found := _NUMBER.findall(cell.source)):
            question = found[-1]
        if question and cell.metadata.get("nbgrader", {}).get("solution"):
            questions.setdefault(question, []).append(cell.metadata.nbgrader.grade_id)
    headings = {}
    for question, answers in questions.items():
        for number, grade_id in enumerate(answers):
            part = chr(ord("a") + number) if number < 26 else str(number + 1)
            text = rules.heading + (rules.heading_part if len(answers) > 1 else "")
            headings[grade_id] = text.format(question=question, part=part)
    return headings


def red(text: str) -> str:
    """Markdown for bold red text, as JupyterLab, VS Code, Colab, feedback pages and our PDF show it."""
    return f'<span style="color:red">**{text}**</span>'


def _role(cell: NotebookNode) -> str:
    nbgrader = cell.metadata.get("nbgrader", {})
    if nbgrader.get("solution"):
        return "answer"
    if nbgrader.get("locked") or nbgrader.get("grade"):
        return "locked"
    return "free" if cell.cell_type == "code" else "given"


def _collaborators(team: int) -> str:
    lines = []
    if team > 1:
        lines.append(
            f"**Team** (at most {team} people hand in together; all their names, separated by commas): {TEAM_HOLDER}"
        )
    lines.append(f"**Collaborators** (whom you discussed the questions with, or *none*): {COLLABORATORS_HOLDER}")
    return "\n\n".join(lines)
