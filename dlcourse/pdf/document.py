"""A whole notebook into a PDF."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat

from dlcourse.pdf.cells import CellRenderer
from dlcourse.pdf.compiler import Block, Compiler
from dlcourse.pdf.context import Context
from dlcourse.pdf.escape import Escaper
from dlcourse.pdf.glyphs import missing_characters
from dlcourse.pdf.images import ImageStore
from dlcourse.pdf.markdown import first_title
from dlcourse.pdf.outputs import joined
from dlcourse.pdf.template import preamble

MAX_NOTEBOOK_BYTES = 200 * 2**20


def _strings(value: object, key: str = "") -> Iterator[str]:
    """Every text of a notebook that a page may show; not the data of its images."""
    if isinstance(value, str):
        if not key.startswith("image/"):
            yield value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _strings(part, str(name))
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, key)


def _title(notebook: Mapping[str, Any], name: str) -> str:
    """The notebook's own title: in its metadata, its first level-1 heading, or `name`."""
    if title := str((notebook.get("metadata") or {}).get("title") or ""):
        return title
    for cell in notebook["cells"]:
        if cell.get("cell_type") == "markdown" and (title := first_title(joined(cell.get("source", "")))):
            return title
    return name


def notebook_node_to_pdf(
    notebook: Mapping[str, Any], *, name: str, folder: Path | None, student: str = "", course: str = ""
) -> tuple[bytes, list[str]]:
    """The PDF of a notebook in memory.

    Args:
        notebook: of format 4.
        name: title where the notebook has none.
        folder: where relative image paths begin; None allows no image files.
        student: shown in the header.
        course: shown in the header.

    Returns:
        The PDF's bytes, and a warning for everything that is not shown as the notebook has it.
    """
    with tempfile.TemporaryDirectory(prefix="notebook-pdf-") as root:
        compiler = Compiler(Path(root))
        missing = missing_characters([*_strings(notebook), name, student, course], compiler)
        context = Context(Escaper(missing), ImageStore(Path(root), folder, compiler.problem))
        if missing:
            listed = ", ".join(f"U+{ord(char):04X}" for char in sorted(missing)[:30])
            context.warn(f"{len(missing)} characters without a glyph, shown as code points: {listed}")
        metadata = notebook.get("metadata") or {}
        language = str((metadata.get("language_info") or {}).get("name") or "python")
        renderer = CellRenderer(context, language)
        blocks: list[Block] = []
        for number, cell in enumerate(notebook["cells"], start=1):
            blocks += renderer.render(number, cell)
        opening = preamble(context.escaper, _title(notebook, name), student, course)
        pdf, replaced = compiler.document(opening, blocks)
        return pdf, context.warnings + replaced


def notebook_to_pdf(path: Path, output: Path, *, name: str | None = None, course: str = "") -> list[str]:
    """Write the PDF of the notebook at `path` to `output`.

    Args:
        path: a notebook of any format that nbformat reads.
        output: the PDF file.
        name: the student's name, for the header.
        course: the course's name, for the header.

    Returns:
        Warnings: everything that the PDF does not show as the notebook has it.

    Raises:
        ValueError: if the file is too large or no notebook.
    """
    path = Path(path)
    if path.stat().st_size > MAX_NOTEBOOK_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_NOTEBOOK_BYTES // 2**20} MiB")
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (ValueError, nbformat.ValidationError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{path.name} is not a notebook: {error}") from error
    pdf, warnings = notebook_node_to_pdf(
        notebook, name=path.stem, folder=path.parent, student=name or "", course=course
    )
    Path(output).write_bytes(pdf)
    return warnings
