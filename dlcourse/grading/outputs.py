"""nbclient's assembly of outputs, with bounds: what a kernel sends is kept up to a limit, emitted values apart."""

from __future__ import annotations

import json
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from dlcourse.grading.evidence import MAX_EMISSIONS
from dlcourse.payload import MIME

MAX_OUTPUT = 8 * 2**20  # bytes kept of one cell's outputs
MAX_MESSAGES = 2000  # outputs kept of one cell
MAX_KEPT = 32 * 2**20  # bytes kept of one notebook's outputs
MAX_LINE = 1000  # characters of an error that came after too much output
MAX_EMITTED = 64 * 2**20  # bytes of emitted values kept of one submission
_OUTPUTS = ("stream", "display_data", "execute_result", "error", "update_display_data")


class Outputs(NotebookClient):
    """Turns a kernel's messages into the outputs of a cell, as nbclient does, without a kernel of its own."""

    def __init__(self) -> None:
        # The notebook holds the cells so far: a later one can update a display of theirs.
        super().__init__(nbformat.v4.new_notebook(), record_timing=False)
        self.emissions: list[Any] | None = None
        self.emitted = self.kept = 0
        self.size = self.count = 0
        self.dropped = False  # whether the cell sent more than is kept

    def begin(self, cell: NotebookNode) -> None:
        """Take the outputs of ``cell`` from now on."""
        self.nb.cells.append(cell)
        self.size = self.count = 0
        self.dropped = self.clear_before_next_output = False

    def take(self, message: dict[str, Any]) -> None:
        """Take one message in; what is malformed is passed over, as a notebook can send anything."""
        try:
            self._take(message)
        except Exception:
            return

    def handle_comm_msg(self, outs: Any, msg: Any, cell_index: int) -> None:
        """Keep nothing of widgets: their state has no bound."""

    def _take(self, message: dict[str, Any]) -> None:
        if message["msg_type"] in _OUTPUTS:
            content = message["content"]
            data = content.get("data")
            if isinstance(data, dict) and MIME in data:
                self._collect(data[MIME])
                return
            size = _size(content)
            self.count += 1
            self.size += size
            if self.count > MAX_MESSAGES or self.size > MAX_OUTPUT or self.kept + size > MAX_KEPT:
                self.dropped = True
                if message["msg_type"] == "error":
                    self._shorten(content)
                return
            self.kept += size
        self.process_message(message, self.nb.cells[-1], len(self.nb.cells) - 1)

    def _shorten(self, content: dict[str, Any]) -> None:
        """Keep of an error what it says: that a cell failed must not be lost in what it printed before."""
        name, text = str(content.get("ename"))[:MAX_LINE], str(content.get("evalue"))[:MAX_LINE]
        cell = self.nb.cells[-1]
        if not any(output.output_type == "error" for output in cell.outputs):
            cell.outputs.append(nbformat.v4.new_output("error", ename=name, evalue=text, traceback=[]))

    def _collect(self, payload: Any) -> None:
        self.emitted += _size(payload)
        if self.emissions is not None and len(self.emissions) < MAX_EMISSIONS and self.emitted <= MAX_EMITTED:
            self.emissions.append(payload)


def _size(content: Any) -> int:
    try:
        return len(json.dumps(content))
    except (TypeError, ValueError, RecursionError):
        return MAX_OUTPUT + 1
