"""What a PDF lacks of the notebook that it was made of."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import nbformat
import pymupdf

from dlcourse.terminal import screen_lines


def lost(notebook: Path, pdf: Path) -> list[str]:
    """Lines of code and of printed outputs, and words of the text, that are not in the PDF's text.

    A long line may be broken by a page, with header and footer in between: two such lines are let pass.
    """
    text = "".join("".join(page.get_text().split()) for page in pymupdf.open(pdf))
    missing: list[str] = []
    for cell in nbformat.read(notebook, as_version=4).cells:
        lines = (
            cell.source.split("\n") if cell.cell_type == "code" else re.findall(r"[A-Za-z]{4,}", _plain(cell.source))
        )
        streams = [output for output in cell.get("outputs", []) if output.output_type == "stream"]
        for _, pieces in groupby(streams, key=lambda output: output.name):  # a progress bar comes in many
            lines += screen_lines("".join(piece.text for piece in pieces))
        found = [line for line in lines if "".join(line.expandtabs(4).split()) not in text]
        long = [line for line in found if len(line) >= 80]
        missing += found if len(long) > 2 else [line for line in found if line not in long]
    return missing


def _plain(markdown: str) -> str:
    """Words of a Markdown source, without formulas, addresses, HTML and languages of code blocks."""
    return re.sub(r"\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>|```\w+", " ", markdown, flags=re.DOTALL)
