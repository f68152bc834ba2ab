"""Markdown to HTML that is safe by construction: no raw HTML passes, mathematics becomes MathML without a script."""

from __future__ import annotations

import html
import re
from functools import cache
from typing import Any
from xml.etree import ElementTree

from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

from dlcourse.feedback.pictures import picture_address
from dlcourse.red import red_plugin

MAX_FORMULA = 5000  # characters
_MACROS = re.compile(r"\\(?:(?:re)?newcommand|providecommand|g?def)\b")  # a few of them can expand without end
_STYLING = {"href", "style", "class", "id", "src"}  # attributes that a formula could bring along
_LINK = re.compile(r"(?:https?://|mailto:|attachment:|#)", re.IGNORECASE)


def render(source: str, attachments: dict[str, Any] | None = None) -> Markup:
    """Render a markdown cell; pictures are shown only where the cell carries them itself."""
    return Markup(_parser().render(source, {"attachments": attachments or {}}))


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: bool(_LINK.match(url.strip()))  # type: ignore[method-assign]
    parser.use(dollarmath_plugin, allow_space=False, double_inline=True, renderer=_dollar)
    parser.use(amsmath_plugin, renderer=lambda formula: _formula(formula, display=True))
    parser.use(red_plugin)
    parser.add_render_rule("image", _image)
    return parser


def _dollar(formula: str, options: dict[str, Any]) -> str:
    return _formula(formula, display=options["display_mode"])


def _formula(formula: str, *, display: bool) -> str:
    """MathML of a formula. latex2mathml's own writer lets text through unescaped, so its elements are written here."""
    if len(formula) <= MAX_FORMULA and not _MACROS.search(formula):
        try:
            math = convert_to_element(formula, display="block" if display else "inline")
            for element in math.iter():
                element.text = html.unescape(element.text or "")
                element.attrib = {k: v for k, v in element.attrib.items() if k.isidentifier() and k not in _STYLING}
            return ElementTree.tostring(math, encoding="unicode")
        except Exception:  # what cannot be set is shown as it was written
            pass
    return f"<code>{html.escape(formula[:MAX_FORMULA])}</code>"


def _image(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    name = str(token.attrs.get("src", "")).removeprefix("attachment:")
    bundle = env["attachments"].get(name)
    alt = html.escape(token.content)
    if address := picture_address(bundle):
        return f'<img alt="{alt}" src="{address}">'
    return f'<span class="left-out">[picture left out: {alt or html.escape(name[:80])}]</span>'
