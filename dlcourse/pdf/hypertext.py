"""HTML into Typst: what of it paper can show. Scripts, styles, forms and embedded pages are left out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dlcourse.pdf.context import Context
from dlcourse.pdf.delimiters import PLACE, Extracted
from dlcourse.pdf.elements import Element, parse
from dlcourse.pdf.escape import literal
from dlcourse.pdf.tables import Cell, Table
from dlcourse.pdf.template import TEXT_WIDTH

_BLOCKS = frozenset({
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "pre", "blockquote", "table", "hr", "div", "section",
    "center", "details", "summary", "figure", "figcaption", "dl", "dt", "dd", "article", "header", "footer", "body",
    "html", "main", "nav", "aside", "form", "fieldset",
})  # fmt: skip
_SILENT = frozenset({
    "script", "style", "iframe", "video", "audio", "canvas", "head", "title", "meta", "link", "object", "embed",
    "button", "select", "textarea", "noscript", "template",
})  # fmt: skip
_MARKS = {
    "b": "strong", "strong": "strong", "i": "emph", "em": "emph", "cite": "emph", "var": "emph", "dfn": "emph",
    "sub": "sub", "sup": "super", "s": "strike", "del": "strike", "strike": "strike", "u": "underline",
    "ins": "underline", "mark": "highlight",
}  # fmt: skip
_SCHEMES = ("http://", "https://", "mailto:")
_DECLARATION = re.compile(r"(?:^|;)\s*(color|text-align|width|height|font-weight)\s*:\s*([^;]+)", re.IGNORECASE)
_MAX_NESTING = 14  # blocks in each other; those deeper stand side by side
_LENGTH = re.compile(r"\s*(\d{1,5}(?:\.\d+)?)\s*(px|%|em|pt|)\s*")


@dataclass(frozen=True)
class Part:
    """A top-level part of a text: its Typst; of a heading also the level and the plain words."""

    source: str
    level: int = 0
    words: str = ""


class HtmlRenderer:
    """Renders the HTML of one text.

    Args:
        context: of the export.
        extracted: the formulas that were taken out of the text.
    """

    def __init__(self, context: Context, extracted: Extracted) -> None:
        self._context = context
        self._escaper = context.escaper
        self._extracted = extracted
        self._room = TEXT_WIDTH  # points there are for an image
        self._nesting = 0

    def parts(self, html: str) -> list[Part]:
        """The parts of `html` in their order."""
        return self._parts(parse(html))

    def _parts(self, parent: Element) -> list[Part]:
        parts: list[Part] = []
        run: list[Element | str] = []
        for child in [*parent.children, None]:
            if isinstance(child, str) or (child is not None and child.name not in _BLOCKS):
                run.append(child)
                continue
            if run and (source := self._paragraph(run)):
                parts.append(Part(source))
            run = []
            if child is not None:
                parts += self._block(child)
        return parts

    def _joined(self, parent: Element) -> str:
        return "".join(part.source for part in self._parts(parent))

    def _paragraph(self, nodes: list[Element | str]) -> str:
        body = self._inline(nodes).replace('#"";', "")
        return f"\n{body}\n\n" if re.sub(r'#"\s*";', "", body).strip() else ""

    def _block(self, tag: Element) -> list[Part]:
        if self._nesting >= _MAX_NESTING:
            return self._parts(tag)
        self._nesting += 1
        parts = self._container(tag)
        self._nesting -= 1
        return parts

    def _container(self, tag: Element) -> list[Part]:
        name = tag.name
        if re.fullmatch("h[1-6]", name):
            return self._heading(tag)
        if name in ("ul", "ol"):
            return [Part(self._list(tag))]
        if name == "pre":
            return [Part(self._preformatted(tag))]
        if name == "blockquote":
            return [Part(f"#quote-block[{self._joined(tag)}];\n")]
        if name == "hr":
            return [Part("#line(length: 100%, stroke: 0.5pt + luma(170));\n")]
        if name == "table":
            return [Part(self._table(tag))]
        if name in ("dt", "summary"):
            return [Part(f"\n#strong[{self._inline(tag.children)}];\n\n")]
        if name == "dd":
            return [Part(f"#pad(left: 1.5em)[{self._joined(tag)}];\n")]
        classes = " ".join(tag.classes)
        if "alert" in classes or "admonition" in classes:
            return [Part(f"#alert-block[{self._joined(tag)}];\n")]
        before, after = self._style(tag)
        if name == "center" or _declared(tag, "text-align") == "center" or tag.get("align") == "center":
            before, after = before + "#align(center)[", "];" + after
        return [Part(f"{before}{self._joined(tag)}{after}\n")] if before else self._parts(tag)

    def _heading(self, tag: Element) -> list[Part]:
        body = self._inline(tag.children)
        words = " ".join(self._extracted.restored(tag.text()).split())
        if not body.strip():
            return []
        return [Part(f"\n#heading(level: {tag.name[1]}, [{body}]);\n\n", int(tag.name[1]), words)]

    def _list(self, tag: Element) -> str:
        items = [item for item in tag.elements() if item.name == "li"]
        if not items:
            return self._joined(tag)
        tight = not any(child.name == "p" for item in items for child in item.elements())
        bodies = ", ".join(f"[{self._checkbox(item)}{self._joined(item).strip()}]" for item in items)
        start = tag.get("start")
        kind = (
            f"enum(start: {int(start) if re.fullmatch('[0-9]{1,6}', start) else 1}, " if tag.name == "ol" else "list("
        )
        return f"#{kind}tight: {str(tight).lower()}, {bodies});\n"

    def _checkbox(self, item: Element) -> str:
        """A task list's box: "[ ] " or "[x] " at the beginning of an item."""
        holder = item
        while holder.children and isinstance(holder.children[0], Element):
            holder = holder.children[0]
        first = holder.children[0] if holder.children else ""
        found = re.match(r"\s*\[([ xX])\]\s", str(first))
        if found is None:
            return ""
        holder.children[0] = str(first)[found.end() :]
        return self._escaper.text("☐ " if found[1] == " " else "☒ ")

    def _preformatted(self, tag: Element) -> str:
        classes = next((code.classes for code in tag.descendants("code")), [])
        language = next((c.removeprefix("language-") for c in classes if c.startswith("language-")), "text")
        source = self._extracted.restored(tag.text()).strip("\n").rstrip()
        return f"#code-block({self._escaper.string(source)}, {self._escaper.string(language)});\n" if source else ""

    def _inline(self, nodes: list[Element | str]) -> str:
        return "".join(self._inline_node(node) for node in nodes)

    def _inline_node(self, node: Element | str) -> str:
        if isinstance(node, str):
            return self._text(re.sub(r"[ \t\r\n]+", " ", node))
        if node.name in _SILENT:
            return ""
        name = node.name
        if name == "br":
            return "#linebreak();"
        if name == "img":
            return self._image(node)
        if name == "svg":
            return self._context.inline_data("".join(map(str, node.children)).encode(), "drawing", self._room)
        if name == "input":
            box = "☒ " if "checked" in node.attributes else "☐ "
            return self._escaper.text(box) if node.get("type") == "checkbox" else ""
        if name in ("code", "tt", "kbd", "samp"):
            return f"#raw({self._escaper.string(self._extracted.restored(node.text()))});"
        if name in _BLOCKS:
            return "".join(part.source for part in self._block(node))
        body = self._inline(node.children)
        return self._marked(node, body) if body else ""

    def _marked(self, tag: Element, body: str) -> str:
        if tag.name in _MARKS:
            body = f"#{_MARKS[tag.name]}[{body}];"
        elif tag.name == "a":
            url = tag.get("href")
            # Anchors lead nowhere on paper; other schemes may lead anywhere.
            body = f"#link({literal(url)})[{body}];" if url.lower().startswith(_SCHEMES) else body
        before, after = self._style(tag)
        return f"{before}{body}{after}"

    def _style(self, tag: Element) -> tuple[str, str]:
        """What of a tag's style is kept: the colour and the weight of its text."""
        before, after = "", ""
        if colour := _colour(tag.get("color") or _declared(tag, "color")):
            before, after = f'#text(fill: rgb("{colour}"))[', "];"
        if _declared(tag, "font-weight") in ("bold", "bolder", "600", "700", "800", "900"):
            before, after = before + "#strong[", "];" + after
        return before, after

    def _text(self, text: str) -> str:
        parts: list[str] = []
        position = 0
        for place in PLACE.finditer(text):
            tex, display, written = self._extracted.formulas[int(place[1])]
            parts += [self._escaper.text(text[position : place.start()]), self._context.math(tex, display, written)]
            position = place.end()
        return "".join(parts) + self._escaper.text(text[position:])

    def _image(self, tag: Element) -> str:
        alt = self._extracted.restored(tag.get("alt"))
        url = self._extracted.restored(tag.get("src"))
        width = _points(tag.get("width") or _declared(tag, "width"), self._room)
        return self._context.inline_picture(url, alt, width, self._room)

    def _table(self, tag: Element) -> str:
        heads = {row for head in tag.descendants("thead", below="table") for row in head.elements()}
        rows = [(row, row in heads) for row in tag.descendants("tr", below="table")]
        widest = max((len(row.elements()) for row, _ in rows[: Table.MAX_ROWS]), default=1)
        room, self._room = self._room, max(self._room / max(widest, 1) - 10, 10)
        table = Table()
        for row, header in rows[: Table.MAX_ROWS]:
            table.begin_row(header)
            for cell in row.elements():
                if cell.name in ("td", "th"):
                    table.add(self._cell(cell, header))
        self._room = room
        note = ""
        if len(rows) > Table.MAX_ROWS:
            message = f"{len(rows) - Table.MAX_ROWS} table rows not shown"
            self._context.warn(message)
            note = self._escaper.note(f"… {message} …")
        if table.left_out:
            message = f"{table.left_out} table columns not shown"
            self._context.warn(message)
            note += self._escaper.note(f"… {message} …")
        return table.typst("right" if "dataframe" in tag.classes else "left") + note

    def _cell(self, cell: Element, header: bool) -> Cell:
        blocks = any(child.name in _BLOCKS for child in cell.elements())
        body = self._joined(cell).strip() if blocks else self._inline(cell.children)
        if cell.name == "th" and not header and body:  # a header row is bold as a whole
            body = f"#strong[{body}]"
        return Cell(body, cell.get("colspan"), cell.get("rowspan"), cell.get("align") or _declared(cell, "text-align"))


def _declared(tag: Element, name: str) -> str:
    """The value of one declaration in the tag's style, or an empty string."""
    return next((m[2].strip().lower() for m in _DECLARATION.finditer(tag.get("style")) if m[1].lower() == name), "")


def _colour(name: str) -> str:
    """A colour of HTML as #rrggbb, or an empty string; black is what text has anyway."""
    if not name:
        return ""
    from PIL import ImageColor  # knows the names; few texts are coloured

    try:
        red, green, blue = ImageColor.getrgb(name[:40])[:3]
    except ValueError:
        return ""
    return f"#{red:02x}{green:02x}{blue:02x}" if (red, green, blue) != (0, 0, 0) else ""


def _points(value: str, room: float) -> float | None:
    """A width of HTML in points."""
    found = _LENGTH.fullmatch(value)
    if not found:
        return None
    factor = {"%": room / 100, "em": 11.0, "pt": 1.0}.get(found[2], 0.75)
    return max(float(found[1]) * factor, 1.0)
