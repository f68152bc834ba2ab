"""What all parts of one export share, and the few marks that more than one of them writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlcourse.pdf.escape import Escaper, literal
from dlcourse.pdf.formula import FormulaError, Formulas
from dlcourse.pdf.images import ImageError, ImageStore, Picture
from dlcourse.pdf.template import TEXT_HEIGHT, TEXT_WIDTH


@dataclass
class Context:
    """One export.

    Attributes:
        escaper: writes every string of the notebook.
        images: takes every picture of the notebook.
        formulas: draws every formula of the notebook.
        warnings: what a reader of the PDF should know, in order.
        where: the part at work, such as "cell 3", put before each warning.
        attachments: of the Markdown cell at work.
    """

    escaper: Escaper
    images: ImageStore
    formulas: Formulas = field(default_factory=Formulas)
    warnings: list[str] = field(default_factory=list)
    where: str = ""
    attachments: Mapping[str, Any] = field(default_factory=dict)

    def warn(self, message: str) -> None:
        """Remember a warning, once."""
        line = f"{self.where}: {message}" if self.where else message
        if line not in self.warnings:
            self.warnings.append(line)

    def math(self, tex: str, display: bool) -> str:
        """Typst for a formula: its drawing, or a visible box with its source and a warning."""
        try:
            drawing = self.formulas.draw(tex, display)
        except FormulaError as error:
            self.warn(f"formula shown as its source ({error}): {_short(tex)}")
            marks = "$$" if display else "$"
            return self.escaper.note(f"{marks}{tex.strip()}{marks}")
        if drawing is None:
            return ""
        picture = self.images.add(drawing.svg.encode())
        alt = self.escaper.string(tex.strip())
        if display:
            tag = self.escaper.string(f"({drawing.tag})" if drawing.tag else "")
            return f"#display-math({tag}, {_size(drawing.width, drawing.height)}, {literal(picture.name)}, {alt});\n"
        scale = min(1.0, TEXT_WIDTH / drawing.width)
        size = f"{_size(drawing.width * scale, drawing.height * scale)}, {drawing.depth * scale:.2f}"
        return f"#inline-image({size}, {literal(picture.name)}, {alt});"

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
        target = min(width or picture.width, max_width, picture.width * TEXT_HEIGHT * 0.9 / picture.height)
        size = _size(target, picture.height * target / picture.width)
        return f"#inline-image({size}, 0, {literal(picture.name)}, {self.escaper.string(alt)});"

    def figure(self, picture: Picture) -> str:
        """Typst for an image on lines of its own, fitted to the page, never split."""
        return f'#figure-block({_size(picture.width, picture.height)}, {literal(picture.name)}, "figure");\n'

    def placeholder(self, what: str, error: ImageError) -> str:
        """A visible box in place of an image, and a warning."""
        self.warn(f"image not included ({error}): {what}")
        return f"#note({self.escaper.string(f'[image not included ({error}): {what}]')});"


def _size(width: float, height: float) -> str:
    return f"{width:.2f}, {height:.2f}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else line[:89] + "…"
