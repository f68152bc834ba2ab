"""Which characters of a notebook no font can show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dlcourse.pdf.compiler import CompileError, Compiler
from dlcourse.pdf.escape import BIDI_CONTROLS, literal

_REFUSED = re.compile(r'text `?"(.+?)"`? could not be displayed', re.DOTALL)
_ESCAPED = re.compile(r"\\u\{([0-9a-fA-F]+)\}")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\u00ad\ufeff\u20e3") | {chr(code) for code in range(0xFE00, 0xFE10)}
_MAX_QUESTIONS = 400  # compilations, each of some milliseconds; what is not asked by then counts as missing
_FEW = 24  # characters of one row, which are asked about one by one


class _Inquiry:
    """Asks a compiler about characters: PDF/A forbids missing glyphs, and Typst then names the first one."""

    def __init__(self, compiler: Compiler, families: Sequence[str]) -> None:
        self.compiler = compiler
        self.left = _MAX_QUESTIONS
        shown = ", ".join(map(literal, ["Libertinus Serif", "DejaVu Sans", "New Computer Modern Math", *families]))
        self.setting = f"#set text(font: ({shown}), fallback: false)\n" if families else ""

    def refused(self, characters: list[str]) -> set[str]:
        """Some of the characters without a glyph among `characters`; none if all have one."""
        self.left -= 1
        if self.left < 0:
            return set(characters)
        try:
            source = f'{self.setting}#set document(title: "x")\n#{literal(" ".join(characters))}'
            self.compiler.pdf(source, archival=True)
            return set()
        except CompileError as error:
            found = _REFUSED.search(str(error))
            shown = _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), found.group(1)) if found else ""
            return set(shown) & set(characters) or set(characters)

    def missing(self, characters: list[str]) -> set[str]:
        """Those of `characters`, all of one row, that have no glyph."""
        missing: set[str] = set()
        left = characters
        while left and (refused := self.refused(left)):
            missing |= refused
            left = [char for char in left if char not in refused]
            if len(left) > _FEW and len(missing) >= 3:
                sample = left[:: len(left) // 3]  # a script that the fonts lack lacks all of it
                if all(self.refused([char]) for char in sample):
                    return set(characters)
        return missing


def missing_characters(text: Iterable[str], compiler: Compiler, families: Sequence[str] = ()) -> set[str]:
    """The characters of `text` without a glyph in any font of `compiler`.

    They are asked about by Unicode rows of 256, so that a page of Chinese costs little. In a row with many missing
    characters, of which some more were tried and found missing too, none is trusted.

    Args:
        text: of the notebook.
        compiler: whose fonts are asked.
        families: the only ones, beside the shipped ones, that may be used; without any, every font of `compiler`.
    """
    exotic = {char for part in text for char in part if ord(char) > 0xFF and not 0xD800 <= ord(char) <= 0xDFFF}
    inquiry = _Inquiry(compiler, families)
    left = sorted(exotic - _INVISIBLE - BIDI_CONTROLS)
    if len(left) <= _FEW * 10 and not (left and inquiry.refused(left)):
        return set()
    rows: dict[int, list[str]] = {}
    for char in left:
        rows.setdefault(ord(char) >> 8, []).append(char)
    missing: set[str] = set()
    for row in rows.values():
        missing |= inquiry.missing(row)
    return missing
