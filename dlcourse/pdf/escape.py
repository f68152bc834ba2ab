"""Text into Typst source. Everything a notebook says goes through here, so that none of it is ever read as Typst."""

import re
from collections.abc import Collection

# Direction overrides can make a page read differently from what it says: they are always shown, never obeyed.
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _code_point(match: re.Match[str]) -> str:
    return f"‹U+{ord(match.group()):04X}›"


def literal(text: str) -> str:
    """A Typst string literal holding exactly `text`."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


class Escaper:
    """Writes text as Typst string literals, characters that no font can show as their code points.

    Args:
        missing: characters without a glyph in any available font.
    """

    def __init__(self, missing: Collection[str] = ()) -> None:
        self.missing = BIDI_CONTROLS | set(missing)
        self._pattern = re.compile("[" + "".join(map(re.escape, sorted(self.missing))) + "]")

    def visible(self, text: str) -> str:
        """`text` with control characters and characters without a glyph as code points: ‹U+1F600›."""
        text = _CONTROL.sub(_code_point, text.replace("\r\n", "\n").replace("\ufeff", ""))
        return self._pattern.sub(_code_point, text)

    def string(self, text: str) -> str:
        """A Typst string literal for code mode."""
        return literal(self.visible(text))

    def text(self, text: str) -> str:
        """Text in markup mode."""
        return f"#{self.string(text)};" if text else ""

    def raw_block(self, text: str) -> str:
        """A plain block of monospaced text, hard wrapped by the page."""
        return f"#plain-block({self.string(text)})\n"

    def note(self, text: str) -> str:
        """A visible remark of the exporter: something is not shown as the notebook has it."""
        return f"#note({self.string(text)});\n"
