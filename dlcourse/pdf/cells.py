"""The cells of a notebook into blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dlcourse.pdf.compiler import Block
from dlcourse.pdf.context import Context
from dlcourse.pdf.hypertext import Part
from dlcourse.pdf.markdown import MarkdownRenderer
from dlcourse.pdf.outputs import OutputRenderer, joined

QUESTION = re.compile(r"\s*Question\b", re.IGNORECASE)
_MAX_CODE_LINES = 3_000  # of one cell
_MAX_CODE_LINE = 5_000  # characters
_MAX_PLAIN = 200_000  # characters of a text that is shown as its source
_MAGIC = re.compile(r"\s*%%(bash|sh|html|javascript|js|latex)\b")


class CellRenderer:
    """Renders cells in their order; macros defined in one hold in those after it."""

    def __init__(self, context: Context, language: str) -> None:
        self._context = context
        self._language = "python" if language.startswith("ipython") else language
        self._markdown = MarkdownRenderer(context)
        self._outputs = OutputRenderer(context, self._markdown)

    def render(self, number: int, cell: Mapping[str, Any]) -> list[Block]:
        """The blocks of one cell, counted from 1."""
        self._context.where = f"cell {number}"
        source = joined(cell.get("source", ""))
        kind = cell.get("cell_type")
        if kind == "code":
            return self._code(source, cell)
        if not source.strip():
            return []
        if len(source) > _MAX_PLAIN:
            self._context.warn(f"{len(source) - _MAX_PLAIN} characters of text not shown")
        if kind != "markdown":
            return [self._plain(source)]
        attachments = cell.get("attachments")
        self._context.attachments = attachments if isinstance(attachments, Mapping) else {}
        try:
            parts = self._markdown.render(source)
        except Exception as error:  # parsers fed with anything may raise anything; the document goes on
            self._context.warn(f"text shown as its source ({type(error).__name__})")
            return [self._plain(source)]
        return self._by_question(parts, self._plain(source).source)

    def _plain(self, source: str) -> Block:
        if len(source) > _MAX_PLAIN:
            source = f"{source[:_MAX_PLAIN]}\n… {len(source) - _MAX_PLAIN} characters not shown …"
        plain = self._context.escaper.raw_block(source)
        return Block(plain, plain, self._context.where)

    def _by_question(self, parts: list[Part], plain: str) -> list[Block]:
        """One block, or several where questions begin within the cell."""
        blocks: list[Block] = []
        for part in parts:
            question = part.words if part.level in (1, 2) and QUESTION.match(part.words) else ""
            if question or not blocks:
                fallback = f"#heading(level: 2, {self._context.escaper.string(question)});\n" if question else ""
                blocks.append(Block("", fallback + plain, self._context.where, question))
            blocks[-1].source += part.source
        return blocks

    def _code(self, source: str, cell: Mapping[str, Any]) -> list[Block]:
        where = self._context.where
        blocks = []
        if source.strip():
            shown = self._bounded(source)
            magic = _MAGIC.match(source)
            language = self._context.escaper.string(magic[1] if magic else self._language)
            code = f"#code-block({self._context.escaper.string(shown)}, {language});\n"
            blocks.append(Block(code, self._context.escaper.raw_block(shown), where))
        self._context.attachments = {}
        try:
            return blocks + self._outputs.render(cell.get("outputs") or [])
        except Exception as error:
            self._context.warn(f"outputs not shown ({type(error).__name__})")
            note = self._context.escaper.note("[outputs not shown: they are malformed]")
            return [*blocks, Block(note, note, where)]

    def _bounded(self, source: str) -> str:
        lines = source.expandtabs(4).strip("\n").split("\n")
        shown = []
        for line in lines[:_MAX_CODE_LINES]:
            if len(line) > _MAX_CODE_LINE:
                self._context.warn(f"a code line of {len(line)} characters cut")
                line = f"{line[:_MAX_CODE_LINE]} … {len(line) - _MAX_CODE_LINE} characters not shown …"
            shown.append(line)
        if len(lines) > _MAX_CODE_LINES:
            self._context.warn(f"{len(lines) - _MAX_CODE_LINES} code lines not shown")
            shown.append(f"… {len(lines) - _MAX_CODE_LINES} lines not shown …")
        return "\n".join(shown)
