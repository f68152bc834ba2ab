r"""LaTeX mathematics, as notebooks have it, into Typst's own.

The way of a formula: `tokens` reads it and expands macros; `translate` makes terms of sequences, groups and scripts,
with `commands` for what takes arguments, `environments` for what has rows, and `symbols` for the rest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from dlcourse.pdf.mathematics import commands, environments  # noqa: F401  # they register what they translate
from dlcourse.pdf.mathematics.environments import settled
from dlcourse.pdf.mathematics.tokens import MAX_LENGTH, FormulaError, Macro, Tokens, tokenize
from dlcourse.pdf.mathematics.translate import Notes, Translator

__all__ = ["Formula", "FormulaError", "Formulas"]

_TALL = re.compile(r"display\(|mat\(|cases\(|(?:under|over)br|binom\(|frac\(.*frac\(")
_RIGID = re.compile(r"mat\(|cases\(| & |\\ |br(?:ace|acket)\(")
_MAX_FORMULAS = 20_000  # of one notebook


@dataclass(frozen=True)
class Formula:
    """One formula.

    Attributes:
        code: Typst's mathematics without the dollar signs.
        tag: the text of its tag.
        tall: whether it may need more than a line's height.
        breakable: whether it may be broken over lines where it is far too wide for one.
    """

    code: str
    tag: str
    tall: bool
    breakable: bool


class Formulas:
    """Translates the formulas of one notebook in their order; macros and labels are shared by all of them.

    Args:
        write: makes a Typst string literal of any text, characters without a glyph made visible.
    """

    def __init__(self, write: Callable[[str], str]) -> None:
        self._write = write
        self._macros: dict[str, Macro] = {}
        self._labels: dict[str, str] = {}
        self._count = 0
        self.refused: dict[str, str] = {}  # what the compiler said of a formula that it cannot set, by its source

    def translate(self, tex: str) -> Formula | None:
        """The formula, or None if it only defines macros.

        Raises:
            FormulaError: if it cannot be set as it is meant.
        """
        self._count += 1
        if self._count > _MAX_FORMULAS:
            raise FormulaError(f"the notebook has more than {_MAX_FORMULAS} formulas")
        if tex in self.refused:
            raise FormulaError(self.refused[tex])
        if len(tex) > MAX_LENGTH:
            raise FormulaError(f"longer than {MAX_LENGTH} characters")
        notes = Notes(self._write, known=self._labels)
        tokens = Tokens(tokenize(unicodedata.normalize("NFC", tex))[::-1], self._macros)
        code = settled(Translator(tokens, notes).whole())
        tag = ", ".join(notes.tags)
        if not tex.strip():
            raise FormulaError("empty")
        if not code.strip() and not tag:
            return None
        return Formula(code, tag, bool(_TALL.search(code)), not _RIGID.search(code))
