r"""Environments: matrices, cases, arrays and aligned lines."""

from __future__ import annotations

import re

from dlcourse.pdf.mathematics.tokens import FormulaError
from dlcourse.pdf.mathematics.translate import EMPTY, Translator, command, joined

LINES_BEGIN, LINES_END = "\ue011", "\ue012"  # around aligned lines, until it is known whether they are all there is
_MATRICES = {"matrix": "", "pmatrix": "(", "bmatrix": "[", "Bmatrix": "{", "vmatrix": "|", "Vmatrix": "‖"}
_MATRICES |= {"smallmatrix": "", "psmallmatrix": "(", "bsmallmatrix": "["}
_ALIGNED = frozenset({
    "align", "aligned", "alignat", "alignedat", "split", "eqnarray", "flalign", "gather", "gathered", "multline",
})  # fmt: skip
_ARRAYS = frozenset({"array", "subarray", "darray"})
_CASES = frozenset(["cases", "dcases", "rcases", "drcases"])
_COUNTED = frozenset(["alignat", "alignedat"])
_RULES = ("\\hline", "\\hdashline")
_ROW_ENDS = frozenset({"&", "\\\\", "\\cr", "\\newline"})
Rows = list[list[str]]


@command("begin")
def _environment(translator: Translator, _: str) -> str:
    tokens = translator.tokens
    name = tokens.text().strip()
    base = name.removesuffix("*")
    if base in _COUNTED:
        tokens.group()
    if base in _ALIGNED | _ARRAYS:
        tokens.optional()
    columns = tokens.text() if base in _ARRAYS else ""
    body = _body(translator, name)
    inner = Translator(tokens.part(body), translator.notes)
    if base in ("equation", "displaymath", "math"):
        return inner.whole()
    if base in _MATRICES:
        matrix = f"mat(delim: {_literal(_MATRICES[base])}, {_cells(_rows(inner)[0])})"
        return f"txsmall({matrix})" if "small" in base else matrix
    if base in _CASES:
        return _cases(base, _rows(inner)[0])
    if base in _ARRAYS:
        rows, rules = _rows(inner)
        if base == "darray":
            rows = [[f"display({cell})" if cell else "" for cell in row] for row in rows]
        return _array(columns, rows, rules)
    if base in _ALIGNED:
        rows = _rows(inner, tagged=True)[0]
        if base == "eqnarray":
            rows = [[row[0], joined(row[1:])] if len(row) > 1 else row for row in rows]
        return LINES_BEGIN + " \\ ".join(_line(row, base not in _COUNTED) for row in rows) + LINES_END
    raise FormulaError(f"unknown environment {name}")


def _line(row: list[str], apart: bool) -> str:
    """Cells of aligned lines: right, left, right, left, … with room after each pair, where the environment has it."""
    cells = [f"#h(1.5em) {cell}" if apart and index and index % 2 == 0 else cell for index, cell in enumerate(row)]
    return " & ".join(cells)


def _body(translator: Translator, name: str) -> list[str]:
    """The tokens up to the end of this environment."""
    body: list[str] = []
    waiting, depth = translator.tokens.waiting, 1
    while waiting:
        token = waiting.pop()
        depth += {"\\begin": 1, "\\end": -1}.get(token, 0)
        if depth == 0:
            ended = translator.tokens.text().strip()
            if ended != name:
                raise FormulaError(f"environment {name} ended as {ended}")
            return body
        body.append(token)
    raise FormulaError(f"environment {name} is not closed")


def _rows(inner: Translator, tagged: bool = False) -> tuple[Rows, list[int]]:
    """The cells row by row, and before which rows a rule stands."""
    rows: Rows = [[]]
    rules: list[int] = []
    tags: dict[int, str] = {}
    tokens = inner.tokens
    while True:
        while tokens.peek() in _RULES:
            tokens.next()
            rules.append(len(rows) - 1)
        before = len(inner.notes.tags)
        rows[-1].append(inner.sequence(_ROW_ENDS))
        if len(inner.notes.tags) > before:
            tags[len(rows) - 1] = inner.notes.tags.pop()
            inner.notes.labels.clear()
        token = tokens.peek()
        if token is None:
            break
        tokens.next()
        if token != "&":
            _row_gap(inner)
            rows.append([])
    if len(rows) > 1 and not any(rows[-1]):
        rows.pop()
    _place_tags(inner, rows, tags if tagged else {})
    return rows, [rule for rule in dict.fromkeys(rules) if 0 < rule < len(rows)]


def _row_gap(inner: Translator) -> None:
    """Read the [2pt] after a line break; another bracket is a cell's own."""
    waiting = inner.tokens.waiting
    gap = "".join(reversed(waiting[-12:]))
    if re.match(r"\[\s*-?[\d.]+\s*[a-z]{2}\s*\]", gap):
        inner.tokens.optional()


def _place_tags(inner: Translator, rows: Rows, tags: dict[int, str]) -> None:
    """One tag stands at the right margin; several stand behind their rows."""
    if len(tags) == 1:
        inner.notes.tags += tags.values()
        return
    for index, tag in tags.items():
        if index < len(rows):
            rows[index][-1] = joined([rows[index][-1], "#h(2em)", inner.notes.write(tag)])


def _literal(delimiter: str) -> str:
    return f'"{delimiter}"' if delimiter else "#none"


def _cells(rows: Rows) -> str:
    width = max(map(len, rows))
    return "; ".join(", ".join(cell or EMPTY for cell in row + [""] * (width - len(row))) for row in rows)


def _cases(base: str, rows: Rows) -> str:
    displayed = base.startswith("d")
    lines = []
    for row in rows:
        cells = [f"display({cell})" if displayed and cell else cell for cell in row]
        lines.append(" & #h(1em) ".join(cells) or EMPTY)
    return f"cases({'reverse: #true, ' if 'rcases' in base else ''}{', '.join(lines)})"


def _array(columns: str, rows: Rows, rules: list[int]) -> str:
    layout = re.sub(r"@\{[^}]*\}|[pm]\{[^}]*\}|\s", "", columns)
    if layout.strip("lcr|:"):
        raise FormulaError(f"unknown columns {columns}")
    width = max(map(len, rows))
    count, bars = 0, []
    for letter in layout:
        if letter in "|:":
            bars.append(count)
        else:
            count += 1
    bars = [bar for bar in dict.fromkeys(bars) if 0 < bar < width]
    side = {"l": "left", "r": "right"}.get("".join(set(layout) & set("lcr")))
    options = f"align: #{side}, " if side else ""
    if bars or rules:
        lines = [f"{kind}: ({''.join(f'{at}, ' for at in places)})" for kind, places in
                 (("hline", rules), ("vline", bars))]  # fmt: skip
        options += f"augment: #({', '.join(lines)}), "
    return f"mat(delim: #none, {options}{_cells(rows)})"


@command("substack")
def _substack(translator: Translator, _: str) -> str:
    rows, _rules = _rows(Translator(translator.tokens.part(translator.tokens.group()), translator.notes))
    return f"mat(delim: #none, row-gap: #0.25em, {'; '.join(joined(row) or EMPTY for row in rows)})"


def settled(term: str) -> str:
    """`term` with its aligned lines in place: lines of the equation if they are all of it, else a matrix."""
    if term.startswith(LINES_BEGIN) and term.count(LINES_BEGIN) == 1 and term.endswith(LINES_END):
        return term[1:-1]
    while LINES_BEGIN in term:
        start = term.rfind(LINES_BEGIN)
        end = term.index(LINES_END, start)
        rows = "; ".join(_displayed(line) for line in term[start + 1 : end].split(" \\ "))
        term = f"{term[:start]}mat(delim: #none, row-gap: #0.6em, column-gap: #0em, {rows}){term[end + 1 :]}"
    return term


def _displayed(line: str) -> str:
    return " & ".join(f"display({cell})" if cell.strip() else "" for cell in line.split(" & ")) or EMPTY
