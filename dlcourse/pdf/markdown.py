"""Markdown into Typst: one method for each kind of node."""

import re

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

from dlcourse.pdf.context import Context
from dlcourse.pdf.escape import literal
from dlcourse.pdf.hypertext import HtmlBreak, HtmlImage, html_pieces
from dlcourse.pdf.template import TEXT_WIDTH
from dlcourse.red import red_plugin

QUESTION = re.compile(r"\s*Question\b", re.IGNORECASE)
_MAX_CHARACTERS = 200_000  # of one Markdown source
_SCHEMES = frozenset({"http", "https", "mailto"})
_ALIGNMENT = re.compile(r"text-align:(left|center|right)")


def _parser() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": True, "maxNesting": 40}).enable(["table", "strikethrough"])
    # A space or a digit beside the dollar means money, as in Jupyter's own habit of writing `$x$` without spaces.
    dollarmath_plugin(markdown, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    amsmath_plugin(markdown)
    red_plugin(markdown)
    markdown.validateLink = lambda url: True  # type: ignore[method-assign]  # links and images are judged here
    return markdown


def heading_text(node: SyntaxTreeNode) -> str:
    """The plain text of a heading."""
    return "".join(child.content for child in node.walk() if not child.children and child.type != "inline").strip()


def first_title(source: str) -> str:
    """The text of the first level-1 heading of a Markdown source, or an empty string."""
    for node in SyntaxTreeNode(_parser().parse(source[:_MAX_CHARACTERS])).children:
        if node.type == "heading" and node.tag == "h1":
            return heading_text(node)
    return ""


class MarkdownRenderer:
    """Renders Markdown sources of one notebook."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._escaper = context.escaper
        self._markdown = _parser()
        self._room = TEXT_WIDTH  # points there are for an image

    def render(self, source: str) -> str:
        """Typst markup for `source`; top-level headings "Question …" begin a page."""
        parts: list[str] = []
        for node in self._parsed(source).children:
            if node.type == "heading" and node.tag in ("h1", "h2") and QUESTION.match(heading_text(node)):
                parts.append("#pagebreak(weak: true);\n")
            parts.append(self._node(node))
        return "".join(parts)

    def render_within(self, source: str) -> str:
        """Typst markup for `source` inside another block, where no page can begin."""
        return self._children(self._parsed(source))

    def _parsed(self, source: str) -> SyntaxTreeNode:
        if len(source) > _MAX_CHARACTERS:
            self._context.warn(f"text cut after {_MAX_CHARACTERS} characters")
            source = source[:_MAX_CHARACTERS] + "\n\n… not shown …\n"
        return SyntaxTreeNode(self._markdown.parse(source))

    def _node(self, node: SyntaxTreeNode) -> str:
        method = getattr(self, f"_render_{node.type}", None)
        if method is not None:
            return str(method(node))
        return self._children(node) if node.children else self._escaper.text(node.content)

    def _children(self, node: SyntaxTreeNode) -> str:
        return "".join(self._node(child) for child in node.children)

    def _render_text(self, node: SyntaxTreeNode) -> str:
        return self._escaper.text(node.content)

    def _render_softbreak(self, node: SyntaxTreeNode) -> str:
        return '#" ";'

    def _render_hardbreak(self, node: SyntaxTreeNode) -> str:
        return "#linebreak();"

    def _render_paragraph(self, node: SyntaxTreeNode) -> str:
        return f"\n{self._children(node)}\n\n"

    def _render_heading(self, node: SyntaxTreeNode) -> str:
        body = self._children(node)
        return f"\n#heading(level: {int(node.tag[1])}, [{body}]);\n\n" if body else ""

    def _render_em(self, node: SyntaxTreeNode) -> str:
        return f"#emph[{self._children(node)}];"

    def _render_strong(self, node: SyntaxTreeNode) -> str:
        return f"#strong[{self._children(node)}];"

    def _render_red(self, node: SyntaxTreeNode) -> str:
        return f'#text(fill: rgb("#c00000"))[{self._children(node)}];'

    def _render_s(self, node: SyntaxTreeNode) -> str:
        return f"#strike[{self._children(node)}];"

    def _render_code_inline(self, node: SyntaxTreeNode) -> str:
        return f"#raw({self._escaper.string(node.content)});"

    def _render_fence(self, node: SyntaxTreeNode) -> str:
        language = node.info.split()[0] if node.info.split() else "text"
        return f"#code-block({self._escaper.string(node.content.rstrip())}, {self._escaper.string(language)});\n"

    def _render_code_block(self, node: SyntaxTreeNode) -> str:
        return f'#code-block({self._escaper.string(node.content.rstrip())}, "text");\n'

    def _render_hr(self, node: SyntaxTreeNode) -> str:
        return "#line(length: 100%, stroke: 0.5pt + luma(170));\n"

    def _render_blockquote(self, node: SyntaxTreeNode) -> str:
        return f"#block(inset: (left: 8pt, y: 2pt), stroke: (left: 2pt + luma(200)))[{self._children(node)}];\n"

    def _render_bullet_list(self, node: SyntaxTreeNode) -> str:
        return f"#list({self._items(node)});\n"

    def _render_ordered_list(self, node: SyntaxTreeNode) -> str:
        start = min(int(node.attrs.get("start", 1)), 10**6)
        return f"#enum(start: {start}, {self._items(node)});\n"

    def _items(self, node: SyntaxTreeNode) -> str:
        tight = all(p.hidden for item in node.children for p in item.children if p.type == "paragraph")
        items = ", ".join(f"[{self._children(item)}]" for item in node.children)
        return f"tight: {str(tight).lower()}, {items}"

    def _render_link(self, node: SyntaxTreeNode) -> str:
        url, body = str(node.attrs.get("href", "")), self._children(node)
        if url.partition(":")[0].lower() not in _SCHEMES or not body:
            return body  # anchors lead nowhere on paper; other schemes may lead anywhere
        return f"#link({literal(url)})[{body}];"

    def _render_image(self, node: SyntaxTreeNode) -> str:
        alt = "".join(child.content for child in node.children)
        return self._context.inline_picture(str(node.attrs.get("src", "")), alt, max_width=self._room)

    def _render_table(self, node: SyntaxTreeNode) -> str:
        rows = [row for part in node.children for row in part.children]
        columns = len(rows[0].children)
        room, self._room = self._room, TEXT_WIDTH / columns - 10
        cells = [f"[{self._children(cell)}]" for row in rows for cell in row.children]
        self._room = room
        found = [_ALIGNMENT.search(str(cell.attrs.get("style", ""))) for cell in rows[0].children]
        alignment = ", ".join(match[1] if match else "left" for match in found)
        header = f"table.header({', '.join(cells[:columns])})"
        return f"#table(columns: {columns}, align: ({alignment},), {', '.join([header, *cells[columns:]])});\n"

    def _render_math_inline(self, node: SyntaxTreeNode) -> str:
        return self._context.math(node.content, display=False)

    def _render_math_inline_double(self, node: SyntaxTreeNode) -> str:
        return self._context.math(node.content, display=True)

    _render_math_block = _render_math_inline_double
    _render_amsmath = _render_math_inline_double

    def _render_html_inline(self, node: SyntaxTreeNode) -> str:
        return self._html(node.content)

    def _render_html_block(self, node: SyntaxTreeNode) -> str:
        return f"\n{self._html(node.content)}\n\n"

    def _html(self, html: str) -> str:
        parts: list[str] = []
        for piece in html_pieces(html):
            if isinstance(piece, HtmlImage):
                parts.append(self._context.inline_picture(piece.url, piece.alt, piece.width, self._room))
            elif isinstance(piece, HtmlBreak):
                parts.append("#linebreak();")
            else:  # Jupyter sets formulas inside HTML too
                inline = SyntaxTreeNode(self._markdown.parseInline(piece.text.replace("<", "&lt;")))
                parts.append(self._children(inline))
        return "".join(parts)
