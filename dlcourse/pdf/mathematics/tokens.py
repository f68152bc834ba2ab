r"""A formula as tokens, with the macros of the notebook expanded as they are met."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_LENGTH = 10_000  # characters of one formula
_MAX_EXPANSIONS = 1_000  # macros in one formula: they may call themselves
_MAX_TOKENS = 40_000  # that macros put into one formula
MAX_DEPTH = 40  # of groups in each other
_TOKEN = re.compile(r"%[^\n]*\n?|\\[A-Za-z]+|\\(?:.|\n)|\\|\d+(?:\.\d+)?|\s+|.", re.DOTALL)


class FormulaError(ValueError):
    """A formula that cannot be set as it is meant; the message says why."""


@dataclass(frozen=True)
class Macro:
    """Number of arguments, default of the first one, body with #1, #2, …"""

    arguments: int
    default: list[str] | None
    body: list[str]


@dataclass
class Budget:
    """What one formula may still use."""

    expansions: int = _MAX_EXPANSIONS
    tokens: int = _MAX_TOKENS


def tokenize(tex: str) -> list[str]:
    """Commands, numbers, single characters; any white space is one blank; comments are left out."""
    found = (match.group() for match in _TOKEN.finditer(tex))
    return [" " if token.isspace() else token for token in found if not token.startswith("%")]


@dataclass
class Tokens:
    """The tokens still to be read. Macros are expanded when they come to the front.

    Attributes:
        waiting: the tokens in reverse order, so that the next one is the last.
        macros: of the notebook, by command.
        budget: shared by all parts of one formula.
        depth: how deep in groups these tokens stand.
    """

    waiting: list[str]
    macros: dict[str, Macro]
    budget: Budget = field(default_factory=Budget)
    depth: int = 0

    def part(self, tokens: list[str]) -> Tokens:
        """A reader of a group within these."""
        if self.depth >= MAX_DEPTH:
            raise FormulaError(f"nested more than {MAX_DEPTH} deep")
        return Tokens(tokens[::-1], self.macros, self.budget, self.depth + 1)

    def raw_peek(self) -> str | None:
        """The next token that is no blank, macros as they are."""
        while self.waiting and self.waiting[-1] == " ":
            self.waiting.pop()
        return self.waiting[-1] if self.waiting else None

    def peek(self) -> str | None:
        """The next token that is no blank and no macro."""
        token = self.raw_peek()
        while token is not None and token in self.macros:
            self._expand()
            token = self.raw_peek()
        return token

    def next(self) -> str:
        token = self.peek()
        if token is None:
            raise FormulaError("it ends too early")
        return self.waiting.pop()

    def take(self, token: str) -> bool:
        """Read the next token if it is this one."""
        if self.peek() != token:
            return False
        self.waiting.pop()
        return True

    def group(self) -> list[str]:
        """One argument: the tokens of a {group}, or a single token."""
        first = self.raw_peek()
        if first is None or first == "}":
            raise FormulaError("an argument is missing")
        self.waiting.pop()
        if first != "{":
            if first[0].isdigit() and len(first) > 1:  # \frac12
                self.waiting.append(first[1:])
                first = first[0]
            return [first]
        tokens: list[str] = []
        depth = 1
        while self.waiting:
            token = self.waiting.pop()
            depth += {"{": 1, "}": -1}.get(token, 0)
            if depth == 0:
                return tokens
            tokens.append(token)
        raise FormulaError("a brace is not closed")

    def text(self) -> str:
        """One argument as it is written."""
        return "".join(self.group())

    def optional(self) -> list[str] | None:
        """The tokens of a [group], if one comes next."""
        if self.raw_peek() != "[":
            return None
        depth = 0
        for index in range(len(self.waiting) - 2, -1, -1):
            token = self.waiting[index]
            depth += {"{": 1, "}": -1}.get(token, 0)
            if token == "]" and depth == 0:
                tokens = self.waiting[index + 1 : -1][::-1]
                del self.waiting[index:]
                return tokens
        return None

    def star(self) -> bool:
        """Read a star that belongs to the command before it."""
        if self.waiting and self.waiting[-1] == "*":
            self.waiting.pop()
            return True
        return False

    def _expand(self) -> None:
        macro = self.macros[self.waiting.pop()]
        self.budget.expansions -= 1
        arguments: list[list[str]] = []
        if macro.default is not None and macro.arguments:
            given = self.optional()
            arguments.append(macro.default if given is None else given)
        while len(arguments) < macro.arguments:
            arguments.append(self.group())
        body = _filled(macro.body, arguments)
        self.budget.tokens -= len(body)
        if self.budget.expansions < 0 or self.budget.tokens < 0:
            raise FormulaError("macros without end")
        self.waiting.extend(reversed(body))


def _filled(body: list[str], arguments: list[list[str]]) -> list[str]:
    """The body of a macro with its arguments put in."""
    filled: list[str] = []
    position = 0
    while position < len(body):
        following = body[position + 1] if position + 1 < len(body) else ""
        if body[position] == "#" and following[:1].isdigit():
            index = int(following[0]) - 1
            filled += arguments[index] if 0 <= index < len(arguments) else []
            filled += [following[1:]] if len(following) > 1 else []
            position += 2
        else:
            filled.append(body[position])
            position += 1
    return filled
