r"""LaTeX macros of a notebook: \newcommand, \def and \DeclareMathOperator, shared by all its cells as in MathJax."""

import re
from dataclasses import dataclass

_DEFINITION = re.compile(
    r"\\(?P<kind>newcommand|renewcommand|providecommand|def|DeclareMathOperator)(?P<star>\*?)\s*"
    r"(?:\{\s*(?P<braced>\\(?:[A-Za-z]+|.))\s*\}|(?P<bare>\\(?:[A-Za-z]+|.)))\s*"
    r"(?:\[(?P<count>[0-9])\]|(?P<parameters>(?:#[1-9])*))\s*(?:\[(?P<default>[^\]]*)\])?\s*(?=\{)"
)
_MAX_EXPANSIONS = 500  # in one formula: macros may call themselves
_MAX_LENGTH = 20_000  # characters of one expanded formula


class MacroError(ValueError):
    """Macros that cannot be expanded; the message says why."""


@dataclass(frozen=True)
class Macro:
    """Number of arguments, default of the first one, body with #1, #2, …"""

    arguments: int
    default: str | None
    body: str


def group(text: str, start: int) -> tuple[str, int]:
    """The argument at `start` — a {group}, a command or one character — and the index after it."""
    while start < len(text) and text[start].isspace():
        start += 1
    if start >= len(text):
        raise MacroError("an argument is missing")
    if text[start] == "\\":
        command = re.compile(r"\\(?:[A-Za-z]+|.?)", re.DOTALL).match(text, start)
        assert command is not None
        return command.group(), command.end()
    if text[start] != "{":
        return text[start], start + 1
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return text[start + 1 : match.start()], match.end()
    raise MacroError("a brace is not closed")


class Macros:
    """The macros defined so far."""

    def __init__(self) -> None:
        self._known: dict[str, Macro] = {}

    def expand(self, tex: str) -> str:
        """`tex` with its definitions taken out and remembered, and every known macro replaced.

        Raises:
            MacroError: for missing arguments and for macros without end.
        """
        tex = self._take_definitions(tex)
        for _ in range(_MAX_EXPANSIONS):
            names = "|".join(re.escape(name) for name in sorted(self._known, key=len, reverse=True))
            found = re.search(rf"(?<!\\)(?:\\\\)*(?P<name>{names})(?![A-Za-z])", tex) if names else None
            if found is None:
                return tex
            tex = self._replace(tex, found.start("name"), found.group("name"))
            if len(tex) > _MAX_LENGTH:
                break
        raise MacroError("macros without end")

    def _take_definitions(self, tex: str) -> str:
        kept, position = [], 0
        while found := _DEFINITION.search(tex, position):
            kept.append(tex[position : found.start()])
            body, position = group(tex, found.end())
            if found["kind"] == "DeclareMathOperator":
                body = rf"\operatorname{found['star']}{{{body}}}"
            count = int(found["count"]) if found["count"] else len(found["parameters"] or "") // 2
            self._known[found["braced"] or found["bare"]] = Macro(count, found["default"], body)
        return "".join(kept) + tex[position:]

    def _replace(self, tex: str, start: int, name: str) -> str:
        macro, end = self._known[name], start + len(name)
        values: list[str] = []
        for index in range(macro.arguments):
            optional = re.compile(r"\s*\[([^\]]*)\]").match(tex, end) if index == 0 else None
            if index == 0 and macro.default is not None:
                values.append(optional.group(1) if optional else macro.default)
                end = optional.end() if optional else end
            else:
                value, end = group(tex, end)
                values.append(value)
        body = re.sub(r"#([1-9])", lambda m: (values[int(m[1]) - 1 : int(m[1])] or [""])[0], macro.body)
        separator = " " if re.search(r"\\[A-Za-z]+$", body) and tex[end : end + 1].isalpha() else ""
        return tex[:start] + body + separator + tex[end:]
