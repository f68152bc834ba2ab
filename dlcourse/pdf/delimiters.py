r"""Where the formulas of a Markdown text are, by JupyterLab's rule: they are taken out before Markdown is read.

Delimiters are $…$, $$…$$, \\(…\\), \\[…\\] and bare environments. Prices stay prose, code stays code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_FIRST, _LAST = "\ue000", "\ue001"  # around the number of a formula in the text
PLACE = re.compile(f"{_FIRST}([0-9]+){_LAST}")
_FENCE = re.compile(r"[ \t]*(?:>[ \t]?)*(`{3,}|~{3,})")
_OPENER = re.compile(
    r"(?<![\\`])(?P<code>`+)|\\\\(?P<round>[\[(])|(?<!\\)(?P<dollar>\$\$?)|\\begin\{(?P<name>[a-zA-Z]+\*?)\}"
)
_NEW_BLOCK = re.compile(r"\n[ \t]*(?:\n|[-*+][ \t]|\d+[.)][ \t]|#|>|```|~~~|\|)")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_INSIDE = re.compile(r"\\.|[{}]|\$\$?|\n[ \t]*\n", re.DOTALL)
_MAX_FORMULA = 10_000  # characters; what seems longer is no formula but a stray dollar sign
_MAX_WORK = 3_000_000  # characters looked at in one text: stray openers make every search long


@dataclass
class Extracted:
    """A text with a mark in the place of every formula, and the formulas: (TeX, whether displayed, as written)."""

    text: str = ""
    formulas: list[tuple[str, bool, str]] = field(default_factory=list)

    def restored(self, text: str) -> str:
        """`text` with its formulas as they were written."""
        return PLACE.sub(lambda match: self.formulas[int(match[1])][2], text)


class _Scanner:
    def __init__(self) -> None:
        self.found = Extracted()
        self.work = 0

    def mark(self, tex: str, display: bool, written: str) -> str:
        self.found.formulas.append((tex, display, written))
        return f"{_FIRST}{len(self.found.formulas) - 1}{_LAST}"

    def scan(self, text: str) -> str:
        parts: list[str] = []
        position = 0
        while self.work < _MAX_WORK and (opener := _OPENER.search(text, position)):
            parts.append(text[position : opener.start()])
            end, replacement = self._from(text, opener)
            parts.append(replacement)
            position = end
        parts.append(text[position:])
        return "".join(parts)

    def _from(self, text: str, opener: re.Match[str]) -> tuple[int, str]:
        """What stands in the place of what begins here, and where the text goes on."""
        start, after = opener.span()
        end, display, inner = after, True, None
        if opener["code"]:
            end = self._code_end(text, opener)
        elif opener["round"]:
            closer = "\\\\]" if opener["round"] == "[" else "\\\\)"
            at = text.find(closer, after, after + _MAX_FORMULA)
            self.work += (at if at >= 0 else min(len(text), after + _MAX_FORMULA)) - after
            if at >= 0:
                end, display, inner = at + 3, opener["round"] == "[", text[after:at]
        elif opener["name"]:
            end = self._environment_end(text, after, opener["name"])
            inner = text[start:end] if end > after else None
        else:
            at = self._dollar_end(text, after, opener["dollar"])
            if at > after and text[after:at].strip() and not _is_money(text, after, at, opener["dollar"]):
                end, display, inner = at + len(opener["dollar"]), opener["dollar"] == "$$", text[after:at]
        written = text[start:end]
        return end, written if inner is None else self.mark(inner, display, written)

    def _code_end(self, text: str, opener: re.Match[str]) -> int:
        """After the code span; a span never crosses blocks, so that a stray backtick hides no formula."""
        closer = re.compile(rf"(?<!`){opener['code']}(?!`)").search(text, opener.end(), opener.end() + _MAX_FORMULA)
        self.work += (closer.start() if closer else min(len(text), opener.end() + _MAX_FORMULA)) - opener.end()
        if closer is None or _NEW_BLOCK.search(text, opener.end(), closer.start()):
            return opener.end()
        return closer.end()

    def _environment_end(self, text: str, start: int, name: str) -> int:
        depth = 1
        for match in re.compile(rf"\\(begin|end)\{{{re.escape(name)}\}}").finditer(text, start, start + _MAX_FORMULA):
            depth += 1 if match[1] == "begin" else -1
            if depth == 0:
                self.work += match.end() - start
                return match.end()
        self.work += min(len(text) - start, _MAX_FORMULA)
        return start

    def _dollar_end(self, text: str, start: int, closer: str) -> int:
        """Where the closing dollars stand, outside braces if there are such, or -1."""
        depth, within_braces, stop = 0, -1, min(len(text), start + _MAX_FORMULA)
        for match in _INSIDE.finditer(text, start, stop):
            self.work += 4
            token = match.group()
            if token[0] == "\\":
                continue
            if token[0] == "\n":  # a blank line ends what is inline, and what has a brace open
                if closer == "$" or within_braces >= 0:
                    break
            elif token == closer or (token == "$$" and closer == "$"):
                if depth == 0:
                    return match.start()
                within_braces = match.start() if within_braces < 0 else within_braces
            elif token in "{}":
                depth = max(0, depth + (1 if token == "{" else -1))
        return within_braces


def _is_money(text: str, start: int, end: int, dollars: str) -> bool:
    """Whether the dollars are prices: a digit after the second, or a number after the first and a blank before it."""
    if dollars == "$$":
        return False
    inner, following = text[start:end], text[end + 1 : end + 2]
    return following.isdigit() or (inner[-1].isspace() and inner[0].isdigit())


def extract(source: str) -> Extracted:
    """The formulas of a Markdown source taken out; fenced code is left alone."""
    scanner = _Scanner()
    source = source.replace(_FIRST, "\ufffd").replace(_LAST, "\ufffd")
    prose: list[str] = []
    parts: list[str] = []
    fence = ""
    for line in source.split("\n"):
        match = _FENCE.match(line)
        if fence:
            parts[-1] += "\n" + line
            if match and match[1].startswith(fence) and not line[match.end() :].strip("`~ \t"):
                fence = ""
        elif match and "`" not in line[match.end() :]:
            if prose:
                parts.append(scanner.scan("\n".join(prose)))
            prose, fence = [], match[1]
            parts.append(line)
        else:
            prose.append(line)
    if prose:
        parts.append(scanner.scan("\n".join(prose)))
    scanner.found.text = "\n".join(parts)
    return scanner.found
