"""Red text in Markdown, the one piece of HTML that hand-in rules ask for: shown red on feedback pages.

The PDF shows the colour of any HTML."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

_OPEN = re.compile(r"""<(?:(span) +style="color: ?red;?"|(font) +color="?red"?)>""")


def red_plugin(markdown: MarkdownIt) -> None:
    """Parse ``<span style="color:red">…</span>`` and ``<font color="red">…</font>`` into tokens of the kind ``red``."""
    markdown.inline.ruler.before("html_inline", "red", _red)


def _red(state: StateInline, silent: bool) -> bool:
    opened = _OPEN.match(state.src, state.pos, min(state.posMax, state.pos + 60))
    if opened is None:
        return False
    tag = opened[1] or opened[2]
    end = state.src.find(f"</{tag}>", opened.end(), state.posMax)
    if end < 0 or state.src.find(f"<{tag}", opened.end(), end) >= 0:
        return False
    after, most = end + len(tag) + 3, state.posMax
    if not silent:
        state.push("red_open", "span", 1).attrs = {"class": "red"}
        state.pos, state.posMax = opened.end(), end
        state.md.inline.tokenize(state)
        state.push("red_close", "span", -1)
    state.pos, state.posMax = after, most
    return True
