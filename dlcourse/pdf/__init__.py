"""Notebook to PDF for Gradescope: notebook -> Typst source -> PDF, offline, without TeX and without a browser.

The way of the data: `bounded` starts a `worker` with a time and a memory limit; there `document` reads the notebook and
asks `cells` for blocks, which go through `markdown`, `delimiters`, `mathematics`, `hypertext`, `tables`, `outputs` and
`images`; `layout` puts sections on pages, `template` frames the page, `compiler` makes the PDF. `pages` knows which
question stands where, `batch` prints a class.
"""

from typing import Any

from dlcourse.pdf.bounded import Limits, Report, notebook_to_pdf

__all__ = ["GradescopeExporter", "Limits", "Report", "notebook_to_pdf"]


def __getattr__(name: str) -> Any:
    """`GradescopeExporter` on demand: nbconvert is slow to import, and only nbconvert's own command needs it."""
    if name == "GradescopeExporter":
        from dlcourse.pdf.exporter import GradescopeExporter

        return GradescopeExporter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
