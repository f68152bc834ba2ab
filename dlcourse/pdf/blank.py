"""The blank PDF of a page template, to upload where an LMS asks for the pages of every question."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from dlcourse.pdf.compiler import Block, Compiler
from dlcourse.pdf.escape import Escaper
from dlcourse.pdf.glyphs import missing_characters
from dlcourse.pdf.layout import Section, short
from dlcourse.pdf.pages import template_map, written
from dlcourse.pdf.template import Header, preamble


def blank_pdf(template: Mapping[str, int], *, title: str, course: str, assignment: str) -> bytes:
    """As many pages as a template allots, each named for its question; the header has its places for name and title.

    Args:
        template: title → number of pages.
        title: of the notebook, for the header.
        course: for the header.
        assignment: for the header.
    """
    with tempfile.TemporaryDirectory(prefix="notebook-pdf-") as root:
        compiler = Compiler(Path(root))
        escaper = Escaper(missing_characters([*template, title, course, assignment], compiler))
        header = Header(title, "Name: ____________________", course, assignment)
        source = preamble(escaper, header, [], keywords=escaper.string(written(template_map(template))))
        for name, pages in template.items():
            heading = f"#heading(level: 2, {escaper.string(name)});\n#v(1fr);\n"
            note = escaper.note(f"{short(name)}: {pages} page{'s' * (pages > 1)}")
            source += Section(name, [Block(heading + note, "", "")]).source(escaper, pages - 1)
        return compiler.pdf(source)
