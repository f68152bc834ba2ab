"""The little that is kept of HTML inside Markdown: text, line breaks and images; everything else is left out."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

_BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "center", "ul", "ol"})
_SILENT = frozenset({"script", "style", "head", "title"})


@dataclass(frozen=True)
class HtmlText:
    """Text between tags."""

    text: str


@dataclass(frozen=True)
class HtmlBreak:
    """A new line."""


@dataclass(frozen=True)
class HtmlImage:
    """An <img>: its source, its alternative text and the wanted width in points, if any."""

    url: str
    alt: str
    width: float | None


Piece = HtmlText | HtmlBreak | HtmlImage


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[Piece] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in _SILENT:
            self._silent += 1
        elif tag == "img":
            self.pieces.append(
                HtmlImage(values.get("src") or "", values.get("alt") or "", _points(values.get("width")))
            )
        elif tag in _BREAKS:
            self._break()
        elif tag in ("td", "th"):
            self.pieces.append(HtmlText("  "))

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BREAKS and tag != "br":
            self._break()

    def handle_data(self, data: str) -> None:
        text = re.sub(r"\s+", " ", data)
        if not self._silent and (text.strip() or (self.pieces and isinstance(self.pieces[-1], HtmlText))):
            self.pieces.append(HtmlText(text))

    def _break(self) -> None:
        if self.pieces and not isinstance(self.pieces[-1], HtmlBreak):
            self.pieces.append(HtmlBreak())


def _points(value: str | None) -> float | None:
    match = re.fullmatch(r"\s*(\d{1,5}(?:\.\d+)?)(?:px)?\s*", value or "")
    return max(float(match[1]) * 0.75, 1.0) if match else None


def html_pieces(html: str) -> list[Piece]:
    """What of `html` is shown, in order; comments, styles and scripts are not."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.pieces


def html_to_text(html: str) -> str:
    """The text of `html`, for an output that has nothing simpler."""
    parts = ("\n" if isinstance(piece, HtmlBreak) else getattr(piece, "text", "") for piece in html_pieces(html))
    return "".join(parts).strip()
