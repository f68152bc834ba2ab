"""The outputs of a code cell into Typst."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from dlcourse.pdf.compiler import Block
from dlcourse.pdf.context import Context
from dlcourse.pdf.images import ImageError
from dlcourse.pdf.markdown import MarkdownRenderer
from dlcourse.pdf.template import COLUMNS
from dlcourse.terminal import capped, strip_ansi

_MAX_OUTPUTS = 80  # of one cell
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif", "image/webp")
_NAMELESS = re.compile(r"\s*<[\w.]+(?: object)?(?: at 0x[0-9a-f]+)?>\s*\Z")  # all that such an object says of itself
_FRAME = re.compile(r'frames\[\d+\]\s*=\s*"data:(image/(?:png|jpeg));base64,([^"]+)"')  # matplotlib's animations


def joined(value: object) -> str:
    """Text of a notebook, which may be a list of lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def _merged(outputs: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Outputs with neighbouring pieces of one stream joined: a progress bar comes in many."""
    merged: list[dict[str, Any]] = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.get("output_type") == "stream":
            if last.get("output_type") == "stream" and last.get("name") == output.get("name"):
                last["pieces"].append(joined(output.get("text", "")))
                continue
            merged.append({**output, "pieces": [joined(output.get("text", ""))]})
        else:
            merged.append(dict(output))
    return merged


class OutputRenderer:
    """Renders the outputs of code cells, each as a block of its own."""

    def __init__(self, context: Context, markdown: MarkdownRenderer) -> None:
        self._context = context
        self._markdown = markdown

    def render(self, outputs: list[Mapping[str, Any]]) -> list[Block]:
        """One block for each output that shows something."""
        where = self._context.where
        merged = _merged(outputs)
        blocks = [Block(self._output(output), self._plain(output), where) for output in merged[:_MAX_OUTPUTS]]
        if len(merged) > _MAX_OUTPUTS:
            message = f"{len(merged) - _MAX_OUTPUTS} further outputs not shown"
            self._context.warn(message)
            note = self._context.escaper.note(message)
            blocks.append(Block(note, note, where))
        return [block for block in blocks if block.source]

    def _output(self, output: Mapping[str, Any]) -> str:
        kind = output.get("output_type")
        if kind == "stream":
            return self._text(
                "".join(output["pieces"]), "output-block" if output.get("name") != "stderr" else "warning-block"
            )
        if kind == "error":
            return self._error(output)
        data = output.get("data")
        return self._bundle(data) if isinstance(data, Mapping) else ""

    def _plain(self, output: Mapping[str, Any]) -> str:
        """The fallback of an output: what text there is in it."""
        data = output.get("data")
        text = "".join(output["pieces"]) if "pieces" in output else joined(output.get("traceback", []))
        if isinstance(data, Mapping):
            text = joined(data.get("text/plain", "[output]"))
        return self._text(text, quiet=True)

    def _text(self, text: str, function: str = "output-block", limit: int | None = None, quiet: bool = False) -> str:
        lines, hidden = capped(text, COLUMNS, limit or self._context.density.lines)
        if hidden and not quiet:
            self._context.warn(f"{hidden} output lines not shown")
        shown = "\n".join(lines)
        return f"#{function}({self._context.escaper.string(shown)});\n" if shown.strip() else ""

    def _error(self, output: Mapping[str, Any]) -> str:
        text = "\n".join(map(str, output.get("traceback") or []))
        if not strip_ansi(text).strip():
            text = f"{output.get('ename', 'Error')}: {output.get('evalue', '')}"
        return self._text(text, "error-block", self._context.density.traceback)

    def _bundle(self, data: Mapping[str, Any]) -> str:
        """The best of a MIME bundle that paper can show."""
        plain = joined(data.get("text/plain", ""))
        for kind in _PICTURES:
            if kind in data:
                return self._picture(kind, data[kind], plain)
        for kind in ("text/markdown", "text/latex"):
            if kind in data:
                return f"#block[{''.join(part.source for part in self._markdown.render(joined(data[kind])))}]\n"
        if "text/html" in data and (shown := self._html(joined(data["text/html"]), plain)):
            return shown
        if plain:
            return self._text(plain)
        if not data or set(map(str, data)) <= {"text/html", "text/plain"}:
            return ""
        return self._other(data)

    def _picture(self, kind: str, value: object, plain: str) -> str:
        try:
            picture = self._context.images.from_mime(kind, value)
        except ImageError as error:
            return f"\n{self._context.placeholder(f'{kind} output', error)}\n\n"
        if picture.frames > 1:
            self._context.warn(f"an animation: the first of {picture.frames} frames is shown")
        return self._context.figure(picture, plain or "figure")

    def _html(self, html: str, plain: str) -> str:
        """HTML where it says more than the plain text: a table, or an object without words of its own."""
        if frames := _FRAME.findall(html):
            kind, data = frames[-1]
            self._context.warn(f"an animation: the last of {len(frames)} frames is shown")
            return self._picture(kind, data.replace("\\\n", "").replace("\\n", ""), "animation")
        if plain and not _NAMELESS.match(plain) and "<table" not in html:
            return ""
        shown = "".join(part.source for part in self._markdown.html(html))
        if not shown and re.search(r"<(?:iframe|video|audio|script)\b", html):
            self._context.warn("an interactive output is not shown")
            return self._context.escaper.note("[interactive output not shown]")
        return f"#block[{shown}]\n" if shown else ""

    def _other(self, data: Mapping[str, Any]) -> str:
        """A type that paper has no way to show; JSON is text."""
        if "application/json" in data:
            return self._text(json.dumps(data["application/json"], indent=1, ensure_ascii=False, default=str))
        listed = ", ".join(sorted(map(str, data)))
        self._context.warn(f"output of type {listed} not shown")
        return self._context.escaper.note(f"[output of type {listed} not shown]")
