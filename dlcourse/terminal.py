"""Text as a terminal leaves it: escape codes gone, carriage returns and backspaces applied, wrapped, capped."""

import re
import unicodedata

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_MAX_CHARACTERS = 1_000_000  # of one output; what lies between head and tail beyond it is cut before any other work


def strip_ansi(text: str) -> str:
    """`text` without colours and cursor movements."""
    return _ANSI.sub("", text)


def _overwrite(line: str) -> str:
    """One line after its carriage returns and backspaces: a progress bar in its last state."""
    if "\r" not in line and "\b" not in line:
        return line
    cells: list[str] = []
    column = 0
    for char in line:
        if char == "\r":
            column = 0
        elif char == "\b":
            column = max(0, column - 1)
        else:
            cells[column : column + 1] = [char]
            column += 1
    return "".join(cells).rstrip()


def screen_lines(text: str) -> list[str]:
    """The lines that a terminal shows after `text` was printed, tabs expanded, without trailing empty lines."""
    lines = strip_ansi(text).replace("\r\n", "\n").split("\n")
    shown = [_overwrite(line).expandtabs(8) for line in lines]
    while shown and not shown[-1].strip():
        shown.pop()
    return shown


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def wrap_line(line: str, columns: int) -> list[str]:
    """`line` cut hard into pieces of at most `columns` terminal columns."""
    if line.isascii():
        return [line[i : i + columns] for i in range(0, len(line), columns)] or [""]
    pieces, piece, used = [], "", 0
    for char in line:
        width = _width(char)
        if used + width > columns:
            pieces.append(piece)
            piece, used = "", 0
        piece += char
        used += width
    return [*pieces, piece]


def capped(text: str, columns: int, max_lines: int) -> tuple[list[str], int]:
    """The lines to print of one output, and how many are left out.

    Args:
        text: the output as the kernel sent it.
        columns: terminal columns of the page.
        max_lines: wrapped lines to show; two thirds of them from the beginning, the rest from the end.

    Returns:
        The lines, with "… N lines not shown …" in the place of those left out, and N.
    """
    skipped = 0
    if len(text) > _MAX_CHARACTERS:
        half = _MAX_CHARACTERS // 2
        skipped = max(text.count("\n", half, -half) - 1, 1)
        text = f"{text[:half]}\n{text[-half:]}"
    lines = screen_lines(text)
    head = max_lines * 2 // 3
    tail = max_lines - head
    if len(lines) > max_lines:  # never wrap what is only thrown away
        skipped += len(lines) - max_lines
        first, last = _wrapped(lines[:head], columns), _wrapped(lines[-tail:], columns)
    else:
        first, last = _wrapped(lines, columns), []
        if not skipped and len(first) <= max_lines:
            return first, 0
        if not last and len(first) > max_lines:
            skipped += len(first) - max_lines
            first, last = first[:head], first[-tail:]
    hidden = skipped + max(0, len(first) - head) + max(0, len(last) - tail)
    return [*first[:head], f"… {hidden} lines not shown …", *last[-tail:]], hidden


def _wrapped(lines: list[str], columns: int) -> list[str]:
    return [piece for line in lines for piece in wrap_line(line, columns)]
