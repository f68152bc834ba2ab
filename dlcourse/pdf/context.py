"""What all parts of one export share, and the few marks that more than one of them writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlcourse.pdf.escape import Escaper, literal
from dlcourse.pdf.images import ImageError, ImageStore, Picture
from dlcourse.pdf.mathematics import FormulaError, Formulas
from dlcourse.pdf.template import TEXT_HEIGHT, TEXT_WIDTH


@dataclass(frozen=True)
class Density:
    """How much room a rendering takes.

    Attributes:
        lines: shown of one text output.
        traceback: lines shown of one traceback.
        figures: size of output figures, as a share of their natural one.
    """

    lines: int = 60
    traceback: int = 40
    figures: float = 1.0


NATURAL = Density()
COMPACT = Density(lines=16, traceback=12, figures=0.6)


@dataclass
class Context:
    """One export.

    Attributes:
        escaper: writes every string of the notebook.
        images: takes every picture of the notebook.
        density: how much room outputs may take.
        warnings: what a reader of the PDF should know, in order.
        where: the part at work, such as "cell 3", put before each warning.
        attachments: of the Markdown cell at work.
        set_formulas: the source and the Typst of every formula, to find those that the compiler refuses.
    """

    escaper: Escaper
    images: ImageStore
    formulas: Formulas
    density: Density = NATURAL
    warnings: list[str] = field(default_factory=list)
    where: str = ""
    attachments: Mapping[str, Any] = field(default_factory=dict)
    set_formulas: dict[str, str] = field(default_factory=dict)

    def warn(self, message: str) -> None:
        """Remember a warning, once."""
        line = f"{self.where}: {message}" if self.where else message
        if line not in self.warnings:
            self.warnings.append(line)

    def math(self, tex: str, display: bool, written: str) -> str:
        """Typst for a formula, or a visible box with its source and a warning.

        Args:
            tex: without its delimiters.
            display: whether it stands on lines of its own.
            written: with its delimiters.
        """
        try:
            formula = self.formulas.translate(tex)
        except FormulaError as error:
            self.warn(f"formula shown as its source ({error}): {_short(tex)}")
            return self.escaper.note(written.strip())
        if formula is None:
            return ""
        self.set_formulas[tex] = formula.code
        alt = self.escaper.string(tex.strip())
        if display:
            options = f"{alt}, {self.escaper.string(formula.tag)}, {str(formula.breakable).lower()}"
            return f"#display-math({options}, $ {formula.code} $);\n"
        tag = self.escaper.text(f" {formula.tag}") if formula.tag else ""
        return f"#{'tall' if formula.tall else 'inline'}-math({alt}, ${formula.code}$);{tag}"

    def inline_picture(self, url: str, alt: str, width: float | None = None, max_width: float = TEXT_WIDTH) -> str:
        """Typst for an image within text, or a visible placeholder and a warning.

        Args:
            url: as Markdown has it.
            alt: text in place of the image.
            width: wanted width in points.
            max_width: room there is, in points.
        """
        try:
            picture = self.images.from_url(url, self.attachments)
        except ImageError as error:
            return self.placeholder(f"{alt or 'image'}: {_short(url)}", error)
        return self._inline(picture, alt, width, max_width)

    def inline_data(self, data: bytes, alt: str, max_width: float) -> str:
        """Typst for an image within text whose bytes stand in it."""
        try:
            return self._inline(self.images.add(data), alt, None, max_width)
        except ImageError as error:
            return self.placeholder(alt, error)

    def _inline(self, picture: Picture, alt: str, width: float | None, max_width: float) -> str:
        target = min(width or picture.width, max(max_width, 10.0), picture.width * TEXT_HEIGHT * 0.9 / picture.height)
        size = _size(target, picture.height * target / picture.width)
        return f"#inline-image({size}, {literal(picture.name)}, {self.escaper.string(alt)});"

    def figure(self, picture: Picture, alt: str) -> str:
        """Typst for an image on lines of its own, fitted to the page, never split."""
        scale = self.density.figures
        size = _size(picture.width * scale, picture.height * scale)
        return f"#figure-block({size}, {literal(picture.name)}, {self.escaper.string(alt)});\n"

    def placeholder(self, what: str, error: ImageError) -> str:
        """A visible box in place of an image, and a warning."""
        self.warn(f"image not included ({error}): {what}")
        return f"#note({self.escaper.string(f'[image not included ({error}): {what}]')});"


def _size(width: float, height: float) -> str:
    return f"{max(width, 1.0):.2f}, {max(height, 1.0):.2f}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else line[:89] + "…"
