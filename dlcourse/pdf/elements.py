"""HTML as a tree of elements. Tags that are left open, closed twice or nested too deep do no harm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_EMPTY = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
})  # fmt: skip
_VERBATIM = frozenset({"svg", "script", "style"})  # kept as they are written
_MAX_DEPTH = 60  # elements in each other; the tags of those deeper are left out, their text is kept
_CLOSES = {  # what an opening tag closes, up to which ancestor
    "p": ({"p"}, {"div", "td", "th", "li", "blockquote", "center", "section"}),
    "li": ({"li"}, {"ul", "ol"}),
    "dt": ({"dt", "dd"}, {"dl"}),
    "dd": ({"dt", "dd"}, {"dl"}),
    "tr": ({"tr", "td", "th"}, {"table"}),
    "td": ({"td", "th"}, {"tr", "table"}),
    "th": ({"td", "th"}, {"tr", "table"}),
    "tbody": ({"thead", "tbody", "tr", "td", "th"}, {"table"}),
}


@dataclass(eq=False)
class Element:
    """An element: its name, its attributes, and elements and text in their order."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def get(self, name: str) -> str:
        """An attribute, or an empty string."""
        return self.attributes.get(name, "")

    @property
    def classes(self) -> list[str]:
        return self.get("class").split()

    def elements(self) -> list[Element]:
        """The elements that are its children."""
        return [child for child in self.children if isinstance(child, Element)]

    def descendants(self, *names: str, below: str = "") -> Iterator[Element]:
        """The elements of these names within it, in order, but none inside of an element named `below`."""
        for child in self.elements():
            if child.name in names:
                yield child
            if child.name != below:
                yield from child.descendants(*names, below=below)

    def text(self, between: str = "") -> str:
        """All text within it."""
        parts = [c if isinstance(c, str) else c.text(between) for c in self.children if not _unsaid(c)]
        return between.join(part for part in parts if part)


def _unsaid(child: Element | str) -> bool:
    return isinstance(child, Element) and child.name in _VERBATIM


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("")]
        self.skipped: list[str] = []  # tags left out because they are too deep
        self.verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.open[-1].name in _VERBATIM:
            self.open[-1].children.append(self.get_starttag_text() or "")
            self.verbatim += tag == self.open[-1].name
            return
        closes, within = _CLOSES.get(tag, (set(), set()))
        for depth in range(len(self.open) - 1, 0, -1):
            if self.open[depth].name in within:
                break
            if self.open[depth].name in closes:
                del self.open[depth:]
        if len(self.open) > _MAX_DEPTH and tag not in _EMPTY:
            self.skipped.append(tag)
            return
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag in _VERBATIM:
            self.verbatim = 1
            element.children.append(self.get_starttag_text() or "")
        if tag not in _EMPTY:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        before = len(self.open)
        self.handle_starttag(tag, attrs)
        if len(self.open) > before and self.open[-1].name == tag and tag not in _EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        last = self.open[-1]
        if last.name in _VERBATIM:
            last.children.append(f"</{tag}>")
            self.verbatim -= tag == last.name
            if self.verbatim <= 0:
                self.open.pop()
            return
        if self.skipped and self.skipped[-1] == tag:
            self.skipped.pop()
            return
        for depth in range(len(self.open) - 1, 0, -1):
            if self.open[depth].name == tag:
                del self.open[depth:]
                return

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(html: str) -> Element:
    """The tree of `html`, under an element without a name."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.open[0]
