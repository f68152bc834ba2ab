"""What scripts and tests need of the notebooks in source/."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

import nbformat
import torch


def solution(path: Path, *given: str, without: Container[str] = ()) -> dict[str, Any]:
    """What the answer cells of a notebook define, its set-up and the cells ``given`` included, by their ids.

    A set-up may change torch's default type; it is set back, because the process reads other notebooks too.
    """
    namespace: dict[str, Any] = {}
    dtype = torch.get_default_dtype()
    for cell in nbformat.read(path, as_version=4).cells:
        answer = cell.metadata.get("nbgrader", {}).get("solution") and cell.id not in without
        if cell.cell_type == "code" and (answer or cell.id in ("setup", *given)):
            exec(compile(cell.source, cell.id, "exec"), namespace)
    torch.set_default_dtype(dtype)
    return namespace
