"""The outputs of a code cell into Typst."""

from collections.abc import Mapping
from typing import Any

from dlcourse.pdf.compiler import Block
from dlcourse.pdf.context import Context
from dlcourse.pdf.hypertext import html_to_text
from dlcourse.pdf.images import ImageError
from dlcourse.pdf.markdown import MarkdownRenderer
from dlcourse.pdf.template import COLUMNS
from dlcourse.terminal import capped, strip_ansi

MAX_LINES = 60  # of one text output
_MAX_TRACEBACK = 40  # lines
_MAX_OUTPUTS = 80  # of one cell
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


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
            return self._text("".join(output["pieces"]))
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

    def _text(self, text: str, function: str = "output-block", limit: int = MAX_LINES, quiet: bool = False) -> str:
        lines, hidden = capped(text, COLUMNS, limit)
        if hidden and not quiet:
            self._context.warn(f"{hidden} output lines not shown")
        shown = "\n".join(lines)
        return f"#{function}({self._context.escaper.string(shown)});\n" if shown.strip() else ""

    def _error(self, output: Mapping[str, Any]) -> str:
        text = "\n".join(map(str, output.get("traceback") or []))
        if not strip_ansi(text).strip():
            text = f"{output.get('ename', 'Error')}: {output.get('evalue', '')}"
        return self._text(text, "error-block", _MAX_TRACEBACK)

    def _bundle(self, data: Mapping[str, Any]) -> str:
        """The best of a MIME bundle that paper can show."""
        for kind in _PICTURES:
            if kind in data:
                try:
                    return self._context.figure(self._context.images.from_mime(kind, data[kind]))
                except ImageError as error:
                    return f"\n{self._context.placeholder(f'{kind} output', error)}\n\n"
        for kind in ("text/markdown", "text/latex"):
            if kind in data:
                return f"#block[{self._markdown.render_within(joined(data[kind]))}]\n"
        if "text/plain" in data:
            return self._text(joined(data["text/plain"]))
        if "text/html" in data:
            return self._text(html_to_text(joined(data["text/html"])))
        if not data:
            return ""
        self._context.warn(f"output of type {', '.join(sorted(map(str, data)))} not shown")
        return self._context.escaper.note(f"[output of type {', '.join(sorted(map(str, data)))} not shown]")
