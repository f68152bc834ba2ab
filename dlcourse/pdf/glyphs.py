"""Which characters of a notebook no font can show."""

import re
from collections.abc import Iterable, Sequence

from dlcourse.pdf.compiler import CompileError, Compiler
from dlcourse.pdf.escape import BIDI_CONTROLS, literal

_REFUSED = re.compile(r'text `?"(.+?)"`? could not be displayed', re.DOTALL)
_ESCAPED = re.compile(r"\\u\{([0-9a-fA-F]+)\}")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\u00ad\ufeff\u20e3") | {chr(code) for code in range(0xFE00, 0xFE10)}
_MAX_QUESTIONS = 60  # compilations, twice; each takes some milliseconds


def _refused(characters: list[str], compiler: Compiler, setting: str) -> set[str]:
    """Some of the characters without a glyph among `characters`; none if all have one."""
    try:
        compiler.pdf(f'{setting}#set document(title: "x")\n#{literal(" ".join(characters))}', archival=True)
        return set()
    except CompileError as error:
        found = _REFUSED.search(str(error))
        shown = _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), found.group(1)) if found else ""
        return set(shown) & set(characters) or set(characters)


def missing_characters(text: Iterable[str], compiler: Compiler, families: Sequence[str] = ()) -> set[str]:
    """The characters of `text` without a glyph in any font of `compiler`.

    PDF/A forbids missing glyphs and Typst then names the first one: it is asked until it is content. Where very many
    are missing, the rest is judged by whole Unicode rows of 256, and a row with one missing character is not trusted.

    Args:
        text: of the notebook.
        compiler: whose fonts are asked.
        families: the only ones, beside the shipped ones, that may be used; without any, every font of `compiler`.
    """
    listed = ", ".join(map(literal, ["Libertinus Serif", "DejaVu Sans", "New Computer Modern Math", *families]))
    setting = f"#set text(font: ({listed}), fallback: false)\n" if families else ""
    exotic = {char for part in text for char in part if ord(char) > 0xFF and not 0xD800 <= ord(char) <= 0xDFFF}
    left = sorted(exotic - _INVISIBLE - BIDI_CONTROLS)
    missing: set[str] = set()
    for _ in range(_MAX_QUESTIONS):
        refused = _refused(left, compiler, setting) if left else set()
        if not refused:
            return missing
        missing |= refused
        left = [char for char in left if char not in refused]
    rows: dict[int, list[str]] = {}
    for char in left:
        rows.setdefault(ord(char) >> 8, []).append(char)
    for asked, row in enumerate(rows.values()):
        if asked >= _MAX_QUESTIONS or _refused(row, compiler, setting):
            missing |= set(row)
    return missing
