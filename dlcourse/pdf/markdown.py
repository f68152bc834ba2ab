"""Markdown into Typst: formulas are taken out, Markdown becomes HTML, and HTML is what is set."""

from __future__ import annotations

import itertools
from functools import cache

from markdown_it import MarkdownIt

from dlcourse.pdf.context import Context
from dlcourse.pdf.delimiters import Extracted, extract
from dlcourse.pdf.hypertext import HtmlRenderer, Part

_MAX_CHARACTERS = 200_000  # of one Markdown source


@cache
def _parser() -> MarkdownIt:
    # What is nested deeper than this would be lost; Python's own limit comes before it, and then the source is shown.
    markdown = MarkdownIt("commonmark", {"html": True, "linkify": True, "maxNesting": 1_000})
    markdown.enable(["table", "strikethrough", "linkify"])
    markdown.validateLink = lambda url: True  # type: ignore[method-assign]  # links and images are judged where they are set
    return markdown


def first_title(source: str) -> str:
    """The text of the first level-1 heading of a Markdown source, or an empty string."""
    tokens = _parser().parse(source[:_MAX_CHARACTERS]) if "#" in source or "=" in source else []
    for opening, inline in itertools.pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h1":
            return "".join(child.content for child in inline.children or []).strip()
    return ""


class MarkdownRenderer:
    """Renders Markdown sources of one notebook."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def render(self, source: str) -> list[Part]:
        """The top-level parts of `source`, headings told apart."""
        if len(source) > _MAX_CHARACTERS:
            source = f"{source[:_MAX_CHARACTERS]}\n\n… {len(source) - _MAX_CHARACTERS} characters not shown …\n"
        extracted = extract(source)
        return HtmlRenderer(self._context, extracted).parts(_parser().render(extracted.text))

    def html(self, html: str) -> list[Part]:
        """The parts of an HTML output; formulas in it are set, as Jupyter does."""
        if len(html) > _MAX_CHARACTERS * 5:
            self._context.warn(f"HTML cut after {_MAX_CHARACTERS * 5} characters")
            html = html[: _MAX_CHARACTERS * 5]
        extracted = extract(html) if "$" in html or "\\begin" in html else Extracted(html)
        return HtmlRenderer(self._context, extracted).parts(extracted.text)
