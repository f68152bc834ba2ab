"""A whole notebook into a PDF."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcourse.pdf.cells import CellRenderer
from dlcourse.pdf.compiler import Block, CompileError, Compiler
from dlcourse.pdf.context import COMPACT, NATURAL, Context, Density
from dlcourse.pdf.escape import Escaper
from dlcourse.pdf.glyphs import missing_characters
from dlcourse.pdf.images import ImageStore
from dlcourse.pdf.layout import Plan, Section, Span, advice, document, numbered, planned, reordered, spans
from dlcourse.pdf.markdown import first_title
from dlcourse.pdf.mathematics import Formulas
from dlcourse.pdf.outputs import joined
from dlcourse.pdf.pages import APPENDIX, COVER, PageMap, written
from dlcourse.pdf.template import Header, Paging, preamble


@dataclass
class Job:
    """What to print.

    Attributes:
        notebook: of format 4.
        folder: where relative image paths begin; None allows no image files.
        name: title where the notebook has none.
        student, course, assignment: for the header; course and assignment default to what the release carries.
        pages: the pages that each section gets, by title; None lets every section be as long as it is.
        system_fonts: whether the machine's fonts may show characters that the shipped ones lack.
    """

    notebook: Mapping[str, Any]
    folder: Path | None
    name: str
    student: str = ""
    course: str = ""
    assignment: str = ""
    pages: Mapping[str, int] | None = None
    system_fonts: bool = True


@dataclass
class Printed:
    """A PDF, its page map, the length of every section in pages and parts of pages, and warnings for the reader."""

    pdf: bytes
    pages: PageMap
    lengths: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


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


def _metadata(notebook: Mapping[str, Any], *names: str) -> str:
    """A text in the notebook's metadata, or an empty string."""
    value: object = notebook.get("metadata")
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


class _Printer:
    """Prints one notebook in a private folder."""

    def __init__(self, job: Job, root: Path) -> None:
        self.job = job
        self.compiler = Compiler(root)
        self.warnings: list[str] = []
        self.fonts: list[str] = []
        self.escaper = self._escaper()
        self.images = ImageStore(root, job.folder, self.compiler.problem)
        self.cells = [cell for cell in job.notebook["cells"] if isinstance(cell, Mapping)]
        self.language = _metadata(job.notebook, "language_info", "name") or "python"
        self.careful = False
        self.refused: dict[str, str] = {}  # formulas that the compiler does not set

    def _escaper(self) -> Escaper:
        job = self.job
        texts = [*_strings(job.notebook), job.name, job.student, job.course, job.assignment]
        missing = missing_characters(texts, self.compiler)
        if missing and job.system_fonts and (families := self.compiler.use_system_fonts()):
            self.fonts = families
            missing = missing_characters(missing, self.compiler, families)
        if missing:
            listed = ", ".join(f"U+{ord(char):04X}" for char in sorted(missing)[:30])
            self.warnings.append(f"{len(missing)} characters without a glyph, shown as code points: {listed}")
        return Escaper(missing)

    def header(self) -> Header:
        job = self.job
        return Header(
            self._title(),
            job.student,
            job.course or _metadata(job.notebook, "dlcourse", "course"),
            job.assignment or _metadata(job.notebook, "dlcourse", "assignment"),
        )

    def _title(self) -> str:
        """The notebook's own title: in its metadata, its first level-1 heading, or its file name."""
        if title := _metadata(self.job.notebook, "title"):
            return title
        for cell in self.cells:
            if cell.get("cell_type") == "markdown" and (title := first_title(joined(cell.get("source", "")))):
                return title
        return self.job.name

    def preamble(self, **options: Any) -> str:
        return preamble(self.escaper, self.header(), self.fonts, **options)

    def print(self) -> Printed:
        """The PDF; where the compiler refuses it, everything is tried by itself and the document made once more."""
        try:
            return self._printed()
        except CompileError:
            self.careful = True
            return self._printed()

    def _printed(self) -> Printed:
        return self._natural() if self.job.pages is None else self._stable(self.job.pages)

    def sections(self, density: Density) -> tuple[list[Section], list[str]]:
        """The notebook rendered and cut at its questions, and warnings."""
        blocks, context = self._rendered(density)
        if not self.careful:
            return _sections(blocks), context.warnings
        opening = self.preamble()
        formulas = [tex for tex in context.set_formulas if tex not in self.refused]
        sources = [f"$ {context.set_formulas[tex]} $\n" for tex in formulas]
        if found := self.compiler.culprits(opening, sources):
            self.refused |= {formulas[index]: f"the typesetter refuses it: {message}" for index, message in found}
            blocks, context = self._rendered(density)
        blocks, replaced = self.compiler.mended(opening, blocks)
        return _sections(blocks), context.warnings + replaced

    def _rendered(self, density: Density) -> tuple[list[Block], Context]:
        formulas = Formulas(self.escaper.string)
        formulas.refused = self.refused
        context = Context(self.escaper, self.images, formulas, density)
        renderer = CellRenderer(context, self.language)
        blocks: list[Block] = []
        for number, cell in enumerate(self.cells, start=1):
            blocks += renderer.render(number, cell)
        return blocks, context

    def _natural(self) -> Printed:
        """Every section as long as it is."""
        sections, warnings = self.sections(NATURAL)
        pdf = self.compiler.pdf(self.preamble() + "".join(section.source(self.escaper) for section in sections))
        found = spans(self.compiler.marks())
        pages = {title: span.pages for title, span in found.items()}
        lengths = {title: span.length for title, span in found.items()}
        return Printed(pdf, pages, lengths, self.warnings + warnings)

    def _stable(self, template: Mapping[str, int]) -> Printed:
        """Every section on the pages that the template gives it."""
        sections, warnings = self.sections(NATURAL)
        plan = planned(sections, template)
        found = self._set(plan)
        lengths = {title: span.length for title, span in found.items()}
        if overlong := plan.overlong(found):
            compact, more = self.sections(COMPACT)
            smaller = {section.title: section for section in compact}
            for section in overlong:
                section.blocks, section.compact = smaller[section.title].blocks, True
            found = self._set(plan)
            warnings = [*warnings, *(warning for warning in more if warning not in warnings)]
            still = plan.overlong(found)
            warnings += [f"{s.title}: shown compact to fit its pages" for s in overlong if s not in still]
        numbering = numbered(plan, found)
        keywords = self.escaper.string(written(numbering.pages))
        paging = Paging(numbering.places, numbering.pointers)
        opening = self.preamble(keywords=keywords, paging=paging)
        pdf = self.compiler.pdf(opening + document(plan, found, self.escaper))
        if {title: span.count for title, span in spans(self.compiler.marks()).items()} != {
            title: span.count for title, span in found.items()
        }:
            raise CompileError("the layout does not settle")
        pdf = reordered(pdf, numbering)
        return Printed(pdf, numbering.pages, lengths, self.warnings + warnings + advice(plan, numbering))

    def _set(self, plan: Plan) -> dict[str, Span]:
        """Where the sections of a plan stand, without empty pages."""
        self.compiler.pdf(self.preamble() + "".join(section.source(self.escaper) for section, _ in plan.slots))
        return spans(self.compiler.marks())


def _sections(blocks: list[Block]) -> list[Section]:
    """The blocks cut where questions begin; a title that comes again is told apart by a number."""
    sections = [Section(COVER)]
    titles: dict[str, int] = {COVER: 1, APPENDIX: 1}
    for block in blocks:
        if block.question:
            title = " ".join(block.question.split())[:200]
            titles[title] = titles.get(title, 0) + 1
            sections.append(Section(title if titles[title] == 1 else f"{title} ({titles[title]})"))
        sections[-1].blocks.append(block)
    return sections if sections[0].blocks else sections[1:] or sections


def print_notebook(job: Job) -> Printed:
    """The PDF of a notebook in memory.

    Raises:
        CompileError: if not even plain text can be set.
    """
    with tempfile.TemporaryDirectory(prefix="notebook-pdf-") as root:
        return _Printer(job, Path(root)).print()
