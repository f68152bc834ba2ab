"""nbclient with bounds: what a kernel sends is kept up to a limit, and emitted values apart from outputs."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal
from nbformat import NotebookNode

from dlcourse.grading.evidence import MAX_EMISSIONS
from dlcourse.payload import MIME

MAX_OUTPUT = 8 * 2**20  # bytes kept of one cell's outputs
MAX_MESSAGES = 2000  # outputs kept of one cell
MAX_EMITTED = 64 * 2**20  # bytes of emitted values kept of one submission
# nbclient leaves a task behind when a cell is stopped, and asyncio reports it on the terminal.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)


class Client(NotebookClient):
    """nbclient that keeps emitted values apart from outputs and bounds both."""

    emissions: list[Any] | None = None
    polling: asyncio.Task[None] | None = None
    emitted = 0
    size = 0
    count = 0

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Take one message of the kernel in; what is malformed is passed over, as a notebook can send anything."""
        try:
            return self._take(msg, cell, cell_index)
        except CellControlSignal:  # the cell is done
            raise
        except Exception:
            return None

    async def _async_poll_output_msg(self, parent_msg_id: str, cell: NotebookNode, cell_index: int) -> None:
        self.polling = asyncio.current_task()
        await super()._async_poll_output_msg(parent_msg_id, cell, cell_index)

    def let_go(self) -> None:
        """End what nbclient leaves behind of a cell that timed out: it would take the next cells' messages away."""
        if self.polling is not None:
            self.polling.cancel()

    def handle_comm_msg(self, outs: Any, msg: Any, cell_index: int) -> None:
        """Keep nothing of widgets: their state has no bound."""

    def _take(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "error", "update_display_data"):
            content = msg["content"]
            data = content.get("data")
            if isinstance(data, dict) and MIME in data:
                self._collect(data[MIME])
                return None
            self.count += 1
            self.size += _size(content)
            if self.count > MAX_MESSAGES or self.size > MAX_OUTPUT:
                return None
        return super().process_message(msg, cell, cell_index)

    def _collect(self, payload: Any) -> None:
        self.emitted += _size(payload)
        if self.emissions is not None and len(self.emissions) < MAX_EMISSIONS and self.emitted <= MAX_EMITTED:
            self.emissions.append(payload)


def _size(content: Any) -> int:
    try:
        return len(json.dumps(content))
    except (TypeError, ValueError, RecursionError):
        return MAX_OUTPUT + 1
