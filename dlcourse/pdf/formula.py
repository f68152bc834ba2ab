r"""One LaTeX formula as an SVG drawing, with the depth of its baseline."""

import re
import time
import warnings
from dataclasses import dataclass
from functools import lru_cache

from dlcourse.pdf.macros import MacroError, Macros, group

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it opens its font by a deprecated function
    import ziamath

FONT_SIZE = 11.0  # points, that of the text around it
_MAX_LENGTH = 8_000  # characters of one formula
_MAX_DEPTH = 9  # braces, \left and \begin in each other; drawing time doubles with every level
_TOTAL_SECONDS = 60.0  # of one notebook's formulas; those after it are shown as source
_MARGIN = 1.0  # points around the drawing, so that no stroke is cut at its edge
_NUMBERING = re.compile(r"\\label\{[^{}]*\}|\\(?:nonumber|notag)(?![A-Za-z])")
_TAG = re.compile(r"\\tag\*?\{([^{}]*)\}")
_NUMBERED = re.compile(r"\\(begin|end)\{(align|alignat|gather)\}")  # Jupyter numbers nothing by itself
_LIMITED = re.compile(r"\\(?:sum|prod|coprod|big(?:cup|cap|oplus|otimes|vee|wedge))(?![A-Za-z])\s*_")
_OPERATOR = re.compile(r"\\mathop(?![A-Za-z])|\\operatorname\s*\*")
_SPACED_NAME = re.compile(r"\\operatorname\{([A-Za-z]+)\\[,;: ]\s*([A-Za-z]+)\}")  # else in italics
_MAX_SIDE = 1_500.0  # points: a drawing taller than that is a slip of the library
_NESTING = re.compile(r"\\.|[{}]", re.DOTALL)
_LEVELS = {"{": 1, "}": -1}
_SCRIPTED = re.compile(r"\\end\{([pbvBV]?matrix|cases|array|aligned)\}\s*(?=[\^_])")


class FormulaError(ValueError):
    """A formula that cannot be drawn; the message says why."""


@dataclass(frozen=True)
class Drawing:
    """An SVG with its size and the depth of its box below the baseline, in points, and the text of its \\tag."""

    svg: str
    width: float
    height: float
    depth: float
    tag: str


def _with_limits(tex: str, display: bool) -> str:
    r"""`tex` with \mathop{…} and \operatorname*{…}, which the library drops or misreads, in other words."""
    while found := _OPERATOR.search(tex):
        body, end = group(tex, found.end())
        operator = f"{{{body}}}" if found.group() == r"\mathop" else rf"\operatorname{{{body}}}"
        if display and tex[end:].lstrip().startswith("_"):
            limit, end = group(tex, tex.index("_", end) + 1)
            operator = rf"\underset{{{limit}}}{{{operator}}}"
        tex = f"{tex[: found.start()]}{operator}{tex[end:]}"
    return _SPACED_NAME.sub(r"\\mathrm{\1\\,\2}", tex)


def _prepared(tex: str) -> str:
    r"""`tex` without what the drawing library stumbles over.

    That is labels, \sum with a lower limit only (endless brackets around it) and scripts on an environment.
    """
    tex = _NUMBERED.sub(r"\\\1{\2*}", _NUMBERING.sub("", tex)).strip()
    position = 0
    while limited := _LIMITED.search(tex, position):
        _, position = group(tex, limited.end())
        if not tex[position:].lstrip().startswith("^"):
            tex = f"{tex[:position]}^{{}}{tex[position:]}"
    while found := _SCRIPTED.search(tex):  # \end{bmatrix}^\top -> {…}^\top, one at a time from the left
        opener = rf"\begin{{{found[1]}}}"
        start = tex.rfind(opener, 0, found.start())
        if start < 0:
            break
        end = found.start() + len(rf"\end{{{found[1]}}}")
        tex = f"{tex[:start]}{{{tex[start:end]}}}{tex[end:].lstrip()}"
    return tex


def _check(tex: str) -> None:
    if not tex:
        raise FormulaError("empty")
    if len(tex) > _MAX_LENGTH:
        raise FormulaError(f"longer than {_MAX_LENGTH} characters")
    depth = deepest = 0
    for match in _NESTING.finditer(re.sub(r"\\(left|begin)(?![A-Za-z])", "{", re.sub(r"\\(right|end)\b", "}", tex))):
        depth += _LEVELS.get(match.group(), 0)
        deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        raise FormulaError(f"nested more than {_MAX_DEPTH} deep")


@lru_cache(maxsize=4096)
def _draw(tex: str, display: bool) -> Drawing:
    tags = ", ".join(_TAG.findall(tex))
    try:
        tex = _prepared(_with_limits(_TAG.sub("", tex), display))
    except MacroError as error:
        raise FormulaError(str(error)) from error
    _check(tex)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            formula = ziamath.Latex(tex, size=FONT_SIZE, inline=not display, margin=_MARGIN)
            width, height = formula.getsize()
            texts = [element.text or "" for element in formula.mathml.iter()]
            unknown = [text for text in texts if "\\" in text]
            glyphless = {char for text in texts for char in text if ord(char) > 0x7F and _lacks(formula, char)}
            svg = formula.svg()
    except Exception as error:  # the library raises anything on malformed input, bare assertions included
        raise FormulaError(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()) from error
    if unknown:
        raise FormulaError(f"unknown command {unknown[0]}")
    if glyphless:
        raise FormulaError(f"no glyph for {' '.join(f'U+{ord(char):04X}' for char in sorted(glyphless))}")
    if not (0 < width < 20_000 and 0 < height < _MAX_SIDE):
        raise FormulaError("nothing to draw")
    return Drawing(svg, width + 2 * _MARGIN, height + 2 * _MARGIN, _MARGIN - formula.getyofst(), tags)


def _lacks(formula: ziamath.Latex, char: str) -> bool:
    # Spaces and the invisible operators of MathML need no glyph.
    return not char.isspace() and not 0x2060 <= ord(char) <= 0x2064 and formula.font.glyphindex(char) == 0


class Formulas:
    """Draws the formulas of one notebook, which share their macros."""

    def __init__(self) -> None:
        self._macros = Macros()
        self._spent = 0.0  # seconds

    def draw(self, tex: str, display: bool) -> Drawing | None:
        """The drawing of `tex`, or None if it only defines macros.

        Raises:
            FormulaError: if it cannot be drawn as it is meant.
        """
        if self._spent > _TOTAL_SECONDS:
            raise FormulaError(f"the notebook's formulas take longer than {_TOTAL_SECONDS:.0f} s")
        try:
            expanded = self._macros.expand(tex)
        except MacroError as error:
            raise FormulaError(str(error)) from error
        if not expanded.strip() and tex.strip():
            return None
        started = time.monotonic()
        try:
            return _draw(expanded, display)
        finally:
            self._spent += time.monotonic() - started
