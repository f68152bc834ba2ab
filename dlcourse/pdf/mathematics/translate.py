r"""LaTeX mathematics into Typst mathematics: sequences, groups, scripts and single symbols.

Every piece is a term of Typst's mathematics mode. Nothing of the formula is taken over as it stands: letters, digits
and known characters are written one by one, text as string literals, everything else escaped or refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from dlcourse.pdf.mathematics.symbols import IGNORED, LIMIT_OPERATORS, OPERATORS, PAIRED, SPACES, SWITCHES, SYMBOLS
from dlcourse.pdf.mathematics.tokens import FormulaError, Tokens

EMPTY = '""'
_ESCAPED = frozenset('#$/_^&"\\(){}[],;:@`.')
_PLAIN = frozenset("+=<>!?")
_SPECIAL = {"-": "−", "*": "∗", "|": 'class("normal", |)', "'": EMPTY}
_TEXTUAL = re.compile(r'"|#math\.')
_TEXT_LAST = re.compile(r'"\)*\Z')
_PLACES = {"\\limits": "limits", "\\nolimits": "scripts"}
_CALL = re.compile(r"(?:#math\.)?[a-z]+\(")
_BRACES = ("underbrace", "overbrace", "underbracket", "overbracket")
Handler = Callable[["Translator", str], str]
COMMANDS: dict[str, Handler] = {}


def command(*names: str) -> Callable[[Handler], Handler]:
    """Register the handler of these commands."""

    def register(handler: Handler) -> Handler:
        COMMANDS.update(dict.fromkeys(names, handler))
        return handler

    return register


@dataclass
class Notes:
    """What a formula says beside its terms.

    Attributes:
        write: makes a Typst string literal of any text.
        tags: the texts of its tags, ready to print.
        labels: names of labels that wait for their tag.
        known: the tag of each label of the notebook.
    """

    write: Callable[[str], str]
    tags: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)


def joined(terms: list[str]) -> str:
    """Terms side by side. Typst shows source blanks beside quoted text, so none may stand there."""
    text, after_text = "", True
    for term in terms:
        if term:
            text += ("" if after_text or _TEXTUAL.match(term) else " ") + term
            after_text = bool(_TEXT_LAST.search(term))
    return text


def wrapped(functions: tuple[str, ...], body: str) -> str:
    """`body` inside calls of these functions, the first one outermost."""
    return "".join(f"{name}(" for name in functions) + body + ")" * len(functions)


def lettered(functions: tuple[str, ...], literal: str) -> str:
    """A string literal in a style, as code of Typst: a call could not stand beside a letter without a blank."""
    if not functions:
        return literal
    return "#" + wrapped(tuple(f"math.{name}" for name in functions), literal)


def single(term: str) -> bool:
    """Whether a term is one to Typst, so that scripts after it belong to all of it."""
    if len(term) == 1 or re.fullmatch(r'[0-9.]+|\\.|"(?:[^"\\]|\\.)*"', term, re.DOTALL):
        return True
    found = _CALL.match(term)
    return found is not None and closing(term, found.end() - 1) == len(term) - 1


def closing(term: str, start: int) -> int:
    """The index of the parenthesis that closes the one at `start`, strings and escapes left aside; -1 without."""
    depth = 0
    for match in re.compile(r'"(?:[^"\\]|\\.)*"|\\.|[()]', re.DOTALL).finditer(term, start):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if depth == 0:
            return match.start()
    return -1


class Translator:
    """Translates the tokens of one formula or of one group in it."""

    def __init__(self, tokens: Tokens, notes: Notes) -> None:
        self.tokens = tokens
        self.notes = notes

    def whole(self) -> str:
        """The term of all tokens."""
        body = self.sequence(frozenset())
        if (left := self.tokens.peek()) is not None:
            raise FormulaError(f"misplaced {left}")
        return body

    def part(self, tokens: list[str]) -> str:
        """The term of a group, maybe empty."""
        return Translator(self.tokens.part(tokens), self.notes).whole()

    def argument(self) -> str:
        """The term of the next argument, never empty."""
        token = self.tokens.peek()
        if token == "{":
            return self.part(self.tokens.group()) or EMPTY
        if token is None or token in ("}", "&", "\\\\", "^", "_"):
            raise FormulaError("an argument is missing")
        if token[0].isdigit() and len(token) > 1:
            return self.tokens.group()[0]
        return self.atom() or EMPTY

    def sequence(self, stop: frozenset[str]) -> str:
        """The term of the tokens up to one of `stop`, which is left to the caller."""
        terms: list[str] = []
        switches: list[tuple[int, tuple[str, ...]]] = []
        while (token := self.tokens.peek()) is not None and token not in stop:
            name = token[1:]
            if token in ("}", "&", "\\right", "\\end", "\\middle") and token not in stop:
                raise FormulaError(f"misplaced {token}")
            if token[0] == "\\" and name in SWITCHES:
                self.tokens.next()
                switches.append((len(terms), SWITCHES[name]))
            elif token == "\\color":
                self.tokens.next()
                switches.append((len(terms), (f"txcolour(#{colour(self.tokens.text())}, ",)))
            elif token in ("\\over", "\\choose", "\\atop"):
                self.tokens.next()
                above = _closed(terms, switches) or EMPTY
                below = self.sequence(stop) or EMPTY
                return _stacked(name, above, below)
            else:
                terms.append(self.scripted(self.atom()))
        return _closed(terms, switches)

    def scripted(self, base: str) -> str:
        """`base` with the scripts, primes and limits that follow it."""
        scripts: dict[str, str] = {}
        primes = 0
        while (token := self.tokens.peek()) is not None:
            if token in _PLACES:
                self.tokens.next()
                base = f"{_PLACES[token]}({base or EMPTY})"
            elif token == "'" and "^" not in scripts:
                self.tokens.next()
                primes += 1
            elif token in ("_", "^"):
                if token in scripts:
                    raise FormulaError("two subscripts" if token == "_" else "two superscripts")
                self.tokens.next()
                scripts[token] = self.argument()
            elif token == "'":
                raise FormulaError("two superscripts")
            else:
                break
        if primes:
            scripts["^"] = joined(["′"] * primes + [scripts.get("^", "")])
        return attached(base, scripts)

    def atom(self) -> str:
        """The term of one token and what belongs to it."""
        token = self.tokens.next()
        if token == "{":
            self.tokens.waiting.append(token)
            tokens = self.tokens.group()
            body = self.part(tokens)
            if len(tokens) == 1 and not tokens[0].isalnum() and body:  # 1{,}000 and the like
                return f'class("normal", {body})'
            return body if not body or single(body) else f"txgroup({body})"
        if token in ("_", "^"):
            self.tokens.waiting.append(token)
            return EMPTY
        if token == "'":
            self.tokens.waiting.append(token)
            return EMPTY
        if token == "~":
            return "#h(0.333em)"
        if token[0] != "\\" or token == "\\":
            return self.character(token)
        return self._command(token)

    def character(self, token: str) -> str:
        """The term of a number or of one character that is no command."""
        if token[0].isascii():
            if token.isalnum() or token[0].isdigit() or token in _PLAIN:
                return token
            if token in _ESCAPED:
                return "\\" + token
            return _SPECIAL.get(token) or self.notes.write(token)
        if token in PAIRED:
            return "\\" + token
        kind = unicodedata.category(token)
        narrow = unicodedata.east_asian_width(token) not in "WF"
        literal = self.notes.write(token)
        if narrow and (kind[0] in "LN" or kind == "Sm") and literal == f'"{token}"':
            return token
        return literal

    def _command(self, token: str) -> str:
        name = token[1:]
        if name in SPACES:
            return f"#h({SPACES[name]}em)"
        if name in SYMBOLS:
            return SYMBOLS[name]
        if name in OPERATORS:
            return f'op("{name}")'
        if name in LIMIT_OPERATORS:
            return f'op("{LIMIT_OPERATORS[name]}", limits: #true)'
        if name in ("{", "}", "#", "$", "%", "&", "_"):
            return "%" if name == "%" else token
        if name in IGNORED:
            return ""
        handler = COMMANDS.get(name)
        if handler is None:
            raise FormulaError(f"unknown command {token}")
        return handler(self, name)


def attached(base: str, scripts: dict[str, str]) -> str:
    """`base` with sub- and superscript; those of a brace become its note."""
    if not scripts:
        return base
    base = base or EMPTY
    for brace in _BRACES:
        mark = "_" if brace.startswith("under") else "^"
        if mark in scripts and base.startswith(f"{brace}(") and closing(base, len(brace)) == len(base) - 1:
            base = f"{base[:-1]}, {scripts[mark]})"
            return attached(base, {other: script for other, script in scripts.items() if other != mark})
    if not single(base):
        base = f"txgroup({base})"
    return base + "".join(f"{mark}({scripts[mark]})" for mark in "_^" if mark in scripts)


def _closed(terms: list[str], switches: list[tuple[int, tuple[str, ...]]]) -> str:
    """The terms in one, each switch around everything after it."""
    terms = list(terms)
    for start, functions in reversed(switches):
        if body := joined(terms[start:]):
            colour = functions[0].startswith("txcolour")
            terms[start:] = [f"{functions[0]}{body})" if colour else wrapped(functions, body)]
    return joined(terms)


def _stacked(name: str, above: str, below: str) -> str:
    if name == "atop":
        return f"mat(delim: #none, {above}; {below})"
    return f"{'frac' if name == 'over' else 'binom'}({above}, {below})"


def colour(name: str) -> str:
    """Typst for a colour of LaTeX: a name, or hexadecimal digits."""
    from PIL import ImageColor  # knows the names of CSS, as MathJax does; few formulas are coloured

    name = name.strip()
    if re.fullmatch(r"#?(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})", name):
        return f'rgb("#{name.lstrip("#")}")'
    try:
        red, green, blue = ImageColor.getrgb(name[:40])[:3]
    except ValueError:
        raise FormulaError(f"unknown colour {name[:40]}") from None
    return f'rgb("#{red:02x}{green:02x}{blue:02x}")'
