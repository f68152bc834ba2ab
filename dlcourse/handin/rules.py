"""The hand-in rules: each looks at a notebook and says what breaks it, where, and how to mend it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nbformat import NotebookNode

from dlcourse.handin import pages, writing
from dlcourse.handin.cells import FoundCell, find_cells
from dlcourse.handin.names import hand_in_name, notebook_names
from dlcourse.handin.sheet import FIRST_CELL, Sheet, digest

RERUN = "Choose Kernel → Restart Kernel and Run All Cells, then save"

GO_ON = "; it stops at an error: go on below it with Run → Run Selected Cell and All Below"


@dataclass(frozen=True)
class Finding:
    """One thing to mend. ``cell`` counts from 1; ``penalty`` is in percent, for the grader to decide on."""

    rule: str
    message: str
    mend: str
    question: str = ""
    cell: int | None = None
    grade_id: str = ""
    penalty: float | None = None

    @property
    def place(self) -> str:
        """Where it is, in short: the question without its title, the cell."""
        question = self.question.split(":")[0] if self.question.startswith("Question") else ""
        return ", ".join(part for part in (question, f"cell {self.cell}" if self.cell else "") if part)


@dataclass(frozen=True)
class Examined:
    """A notebook to be checked, its sheet, and the same notebook after a run in a fresh kernel, if there was one."""

    path: Path
    sheet: Sheet
    cells: list[FoundCell]
    ran: NotebookNode | None

    def answers(self) -> list[FoundCell]:
        return [cell for cell in self.cells if cell.role == "answer"]


OF_FILES = frozenset({"names", "pages"})  # rules about the files around a notebook, not about what is in it


def check_rules(path: Path, notebook: NotebookNode, sheet: Sheet, ran: NotebookNode | None = None) -> list[Finding]:
    """What a notebook breaks of the rules that are on, in the order of the rules.

    Args:
        path: of the notebook; its name is checked, and a PDF and a ZIP beside it.
        notebook: as it is stored.
        sheet: its rules.
        ran: the same notebook after a run, to know which cells give outputs.
    """
    examined = Examined(path, sheet, find_cells(notebook, sheet), ran)
    found = itertools.chain.from_iterable(_RULES[rule](examined) for rule in sheet.rules if rule in _RULES)
    return [_for_a_screen(replace(finding, penalty=sheet.penalties.get(finding.rule))) for finding in found]


def _for_a_screen(finding: Finding) -> Finding:
    """Texts that a notebook brought along, without what would steer a terminal."""
    return replace(
        finding,
        message=writing.one_line(finding.message, 400),
        mend=writing.one_line(finding.mend, 400),
        question=writing.one_line(finding.question),
        grade_id=writing.one_line(finding.grade_id),
    )


def summary(findings: list[Finding]) -> str:
    """Findings in one line: how often each rule is broken, and what all of it may cost."""
    counts = Counter(finding.rule for finding in findings)
    rules = ", ".join(rule if count == 1 else f"{rule} ({count})" for rule, count in counts.items())
    costs = {finding.rule: finding.penalty for finding in findings if finding.penalty}
    cost = f"; may cost {min(sum(costs.values()), 100):g} %" if costs else ""
    return f"breaks hand-in rules: {rules}{cost}"


def _at(cell: FoundCell, rule: str, message: str, mend: str) -> Finding:
    return Finding(rule, message, mend, cell.question, cell.number, cell.grade_id)


def _executed(nb: Examined) -> Iterator[Finding]:
    code = [cell for cell in nb.cells if cell.kind == "code" and cell.source.strip()]
    idle = [cell for cell in code if not isinstance(cell.count, int)]
    if idle:
        numbers = ", ".join(str(cell.number) for cell in idle[:8]) + (" …" if len(idle) > 8 else "")
        what = "no cell was run" if idle == code else f"{len(idle)} cells were not run: cells {numbers}"
        stopped = any(output.get("output_type") == "error" for cell in code for output in cell.outputs)
        yield _at(idle[0], "executed", what, f"{RERUN}{GO_ON if stopped else ''}")
    ran = [cell for cell in code if cell not in idle]
    wrong = next((cell for count, cell in enumerate(ran, 1) if cell.count != count), None)
    if wrong and not idle:
        what = f"cells were not run in order from a fresh kernel: this one as number {wrong.count}"
        yield _at(wrong, "executed", what, RERUN)
    for cell in code:
        error = next((o for o in cell.outputs if o.get("output_type") == "error"), None)
        if error:
            name = writing.one_line(error.get("ename") or "error")
            yield _at(cell, "executed", f"ended with {name}", "Mend what raises it, then restart and run all")


def _outputs(nb: Examined) -> Iterator[Finding]:
    expected = {number for number, cell in enumerate(nb.ran.cells, 1) if cell.get("outputs")} if nb.ran else set()
    for cell in nb.cells:
        graded = cell.graded and nb.ran is None  # without a run it is known only that checks print something
        if cell.role == "own" or not isinstance(cell.count, int):
            continue  # told of by other rules
        if (cell.number in expected or graded) and not cell.outputs:
            yield _at(cell, "outputs", "its output is not stored in the file", RERUN)


def _given(nb: Examined) -> Iterator[Finding]:
    mend = "Copy the cell from the notebook as it was handed out"
    found = {id(cell.released): cell for cell in nb.cells if cell.released}
    for released in nb.sheet.cells:
        kept = released.role in ("locked", "given")
        cell = found.get(id(released))
        name = released.grade_id or released.cell_id
        if cell is None and (kept or released.role == "answer"):
            yield Finding("given", f"{name}: this cell was deleted", mend, grade_id=released.grade_id)
        elif cell is not None and kept and digest(cell.source) != released.digest:
            what = "locked cell" if released.role == "locked" else "given text"
            yield _at(cell, "given", f"{name}: this {what} was changed", mend)
    order = {id(released): place for place, released in enumerate(nb.sheet.cells)}
    kept_cells = [c for c in nb.cells if c.released and c.role in ("locked", "given", "answer")]
    for first, second in itertools.pairwise(kept_cells):
        if order[id(first.released)] > order[id(second.released)]:
            name = second.grade_id or second.cell_id
            yield _at(second, "given", f"{name}: this cell was moved", "Move it back to its place")
            break
    names = [cell.grade_id for cell in nb.cells if cell.grade_id]
    for cell in nb.cells:
        if cell.released is None and names.count(cell.grade_id) > 1:
            yield _at(cell, "given", f"{cell.grade_id}: a copy of this cell", "Delete the copy")


def _scratch(nb: Examined) -> Iterator[Finding]:
    ids = {released.cell_id for released in nb.sheet.cells}
    names = {released.grade_id for released in nb.sheet.cells if released.grade_id}
    known = any(cell.cell_id in ids for cell in nb.cells)  # some editors give new ids to all cells
    for cell in nb.cells:
        if cell.role == "own" and not cell.source.strip():
            yield _at(cell, "scratch", "an empty cell", "Delete it")
        elif cell.role != "own" or cell.kind != "code" or cell.grade_id in names:
            continue  # a copy of a graded cell is told of by another rule
        elif known and cell.cell_id != FIRST_CELL and not writing.KEEP.match(cell.source):
            mend = "Delete it; if it is part of your answer, begin it with a comment `# keep: why`"
            yield _at(cell, "scratch", "a code cell that the assignment does not have", mend)


def _placeholders(nb: Examined) -> Iterator[Finding]:
    for cell in nb.cells:
        if cell.role == "answer" and (digest(cell.source) == _released(cell) or not cell.source.strip()):
            yield _at(cell, "placeholders", "no answer yet", "Answer the question")
        elif cell.role in ("answer", "own", "free") and digest(cell.source) != _released(cell):
            for text in writing.leftovers(cell.source, cell.kind == "code"):
                yield _at(cell, "placeholders", f"{text!r} is left over", "Do it, or delete the line")


def _headings(nb: Examined) -> Iterator[Finding]:
    above: list[str] = []
    for cell in nb.cells:
        expected = nb.sheet.headings.get(cell.grade_id) if cell.role == "answer" else None
        if expected:
            texts = [*above, cell.source] if cell.kind == "markdown" else above
            if wrong := writing.heading_problem(texts, expected):
                mend = f'Put this into a Markdown cell above it: <span style="color:red">**{expected}**</span>'
                yield _at(cell, "headings", wrong, mend)
        if cell.role in ("answer", "locked"):
            above = []
        elif cell.kind == "markdown":
            above.append(cell.source)


def _comments(nb: Examined) -> Iterator[Finding]:
    for cell in nb.answers():
        if cell.kind != "code" or digest(cell.source) == _released(cell):
            continue
        lines = writing.code_lines(cell.source)
        if lines >= nb.sheet.comment_lines and not writing.comments(cell.source):
            yield _at(cell, "comments", f"{lines} lines of code without a comment", "Say in comments what the steps do")


def _collaborators(nb: Examined) -> Iterator[Finding]:
    cell = next((c for c in nb.cells if c.role == "collaborators"), None) or next(
        (c for c in nb.cells if c.kind == "markdown" and "**Collaborators**" in c.source), None
    )
    if cell is None:
        mend = "Add a Markdown cell at the top: **Collaborators**: names, or none"
        yield Finding("collaborators", "the cell that names your collaborators is gone", mend)
        return
    for message, mend in writing.collaborator_problems(cell.source, nb.sheet.team):
        yield _at(cell, "collaborators", message, mend)


def _names(nb: Examined) -> Iterator[Finding]:
    sheet, path = nb.sheet, nb.path
    if path.name == f"{sheet.notebook}.ipynb":
        return
    stem = hand_in_name(sheet, path.stem)
    wanted = f"{sheet.notebook}.ipynb, or {sheet.stem.format(last='LastName', first='FirstName')}.ipynb"
    if stem is None:
        mend = f"Rename it; `course pack {sheet.assignment}` makes the right names"
        yield Finding("names", f"the file is called {path.name}, not {wanted}", mend)
        return
    beside = [path.with_name(f"{stem}{suffix}") for suffix in (".pdf", ".zip")]
    if not any(other.exists() for other in beside):
        return
    for other in beside:
        if not other.is_file():
            yield Finding(
                "names", f"{other.name} is missing beside {path.name}", f"Run `course pack {sheet.assignment}`"
            )
    if beside[1].is_file():
        expected = sorted([f"{stem}.pdf", *notebook_names(sheet, stem).values()])
        if message := pages.zip_problem(beside[1], expected):
            yield Finding("names", message, f"Run `course pack {sheet.assignment}` again")


def _pages(nb: Examined) -> Iterator[Finding]:
    stem = hand_in_name(nb.sheet, nb.path.stem)
    pdf = nb.path.with_name(f"{stem}.pdf") if stem else nb.path.with_suffix(".pdf")
    if pdf.is_file():
        for message, mend in pages.problems(pdf, nb.sheet):
            yield Finding("pages", message, mend)


def _released(cell: FoundCell) -> str:
    return cell.released.digest if cell.released else ""


_RULES: dict[str, Callable[[Examined], Iterator[Finding]]] = {
    "executed": _executed,
    "outputs": _outputs,
    "given": _given,
    "scratch": _scratch,
    "placeholders": _placeholders,
    "headings": _headings,
    "comments": _comments,
    "collaborators": _collaborators,
    "names": _names,
    "pages": _pages,
}
