"""Notebook to PDF for Gradescope: notebook -> Typst source -> PDF, offline, without TeX and without a browser.

The way of the data: `document` reads the notebook and asks `cells` for one block a cell part, which go through
`markdown`, `formula`, `outputs`, `terminal` and `images`; `template` frames the page; `compiler` makes the PDF.
"""

from dlcourse.pdf.document import notebook_to_pdf
from dlcourse.pdf.exporter import GradescopeExporter

__all__ = ["GradescopeExporter", "notebook_to_pdf"]
