"""Sections on pages: each as long as it is, or every question on exactly the pages that a template allots."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from dlcourse.pdf.compiler import Block, Mark
from dlcourse.pdf.escape import Escaper
from dlcourse.pdf.pages import APPENDIX, COVER, PageMap, label
from dlcourse.pdf.template import TEXT_HEIGHT, TEXT_TOP

_COMPACT = "#set text(size: 9.5pt);\n#set par(leading: 0.5em, spacing: 0.75em);\n"


@dataclass
class Section:
    """What stands before the first question, or one question."""

    title: str
    blocks: list[Block] = field(default_factory=list)
    compact: bool = False

    def source(self, escaper: Escaper, padding: int = 0) -> str:
        """Its Typst: a new page, marks around it, its settings kept to itself, and empty pages behind it."""
        title = escaper.string(self.title)
        body = (_COMPACT if self.compact else "") + "".join(block.source for block in self.blocks)
        empty = f"#padding-page({escaper.string(f'This page belongs to {short(self.title)}.')});\n" * padding
        if not self.blocks:
            return empty
        return f"#pagebreak(weak: true);\n#mark({title});\n#[\n{body}\n]\n#mark({title}, end: true);\n{empty}"


@dataclass(frozen=True)
class Span:
    """The pages of a section as it was set, counted from 1, and its length in pages and parts of pages."""

    pages: tuple[int, int]
    length: float

    @property
    def count(self) -> int:
        return self.pages[1] - self.pages[0] + 1


def short(title: str) -> str:
    """A title for a line of its own: "Question 3" of "Question 3: Forward pass [5 points]"."""
    return title.partition(":")[0][:60]


def spans(marks: list[Mark]) -> dict[str, Span]:
    """Where each section stands, from the marks around it."""
    found: dict[str, Span] = {}
    begun: dict[str, int] = {}
    for mark in marks:
        if not mark.end:
            begun[mark.title] = mark.page
        else:
            first = begun.get(mark.title, mark.page)
            part = min(max((mark.y - TEXT_TOP) / TEXT_HEIGHT, 0.02), 1.0)
            found[mark.title] = Span((first, mark.page), mark.page - first + part)
    return found


@dataclass
class Plan:
    """Sections in a template's order, each with the pages it gets; what the template does not know gets 0."""

    slots: list[tuple[Section, int]]
    missing: list[str]
    unknown: list[str]

    def overlong(self, found: Mapping[str, Span]) -> list[Section]:
        """The sections that need more pages than they get."""
        return [s for s, pages in self.slots if s.blocks and found[s.title].count > pages > 0]


def planned(sections: list[Section], template: Mapping[str, int]) -> Plan:
    """The sections put into the slots of a template; a slot without a section stays empty."""
    left = list(sections)
    slots: list[tuple[Section, int]] = []
    missing: list[str] = []
    for title, pages in template.items():
        section = next((one for one in left if label(one.title) == label(title)), None)
        if section is None:
            section = Section(title)
            if title != COVER:
                missing.append(title)
        else:
            left.remove(section)
        slots.append((section, pages))
    return Plan(slots + [(section, 0) for section in left], missing, [section.title for section in left])


@dataclass
class Numbering:
    """Which number every page gets: first the slots, then the appendix.

    Attributes:
        places: for each page as it is set, the number it gets.
        pages: the page map.
        pointers: what headers and footers say of the appendix.
        moved: of each section in the appendix, how many pages, and the first and last of them.
    """

    places: list[int]
    pages: PageMap
    pointers: dict[str, str]
    moved: dict[str, tuple[int, int, int]]


def numbered(plan: Plan, found: Mapping[str, Span]) -> Numbering:
    """The numbers of the pages of a plan whose sections are as long as `found` says."""
    fixed = sum(pages for _, pages in plan.slots)
    numbering = Numbering([], {}, {}, {})
    slot, appendix = 1, fixed + 1
    for section, pages in plan.slots:
        used = found[section.title].count if section.blocks else 0
        if pages:
            numbering.pages[section.title] = (slot, slot + pages - 1)
            numbering.places += range(slot, slot + min(used, pages))
            numbering.places += range(slot + used, slot + pages)  # empty pages
        if (over := used - pages) > 0:
            numbering.places += range(appendix, appendix + over)
            numbering.moved[section.title] = (over, appendix, appendix + over - 1)
            name = short(section.title)
            if pages:
                numbering.pointers[str(slot + pages - 1)] = f"{name} goes on in the appendix, page {appendix}"
                numbering.pointers[f"{appendix}-top"] = f"Appendix: {name}, from page {slot + pages - 1}"
            else:
                numbering.pointers[f"{appendix}-top"] = f"Appendix: {name}"
            appendix += over
        slot += pages
    if appendix > fixed + 1:
        numbering.pages[APPENDIX] = (fixed + 1, appendix - 1)
    return numbering


def document(plan: Plan, found: Mapping[str, Span], escaper: Escaper) -> str:
    """The Typst of all sections with their empty pages."""
    return "".join(
        section.source(escaper, max(0, pages - (found[section.title].count if section.blocks else 0)))
        for section, pages in plan.slots
    )


def reordered(pdf: bytes, numbering: Numbering) -> bytes:
    """The PDF with its pages in the order of their numbers; bookmarks and links follow them."""
    order = sorted(range(len(numbering.places)), key=numbering.places.__getitem__)
    if order == list(range(len(order))):
        return pdf
    import pypdf
    from pypdf.generic import ArrayObject, NameObject, NumberObject

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf))
    pages = list(writer.pages)
    root = writer.root_object["/Pages"].get_object()
    for page in pages:  # a flat tree: what pages inherit is their size, which all of them share
        for name in ("/MediaBox", "/Resources"):
            if name not in page and name in root:  # type: ignore[operator]
                page[NameObject(name)] = root[name]  # type: ignore[index]
        page[NameObject("/Parent")] = root.indirect_reference  # type: ignore[union-attr]
    root[NameObject("/Kids")] = ArrayObject([pages[index].indirect_reference for index in order])  # type: ignore[index]
    root[NameObject("/Count")] = NumberObject(len(order))  # type: ignore[index]
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def advice(plan: Plan, numbering: Numbering) -> list[str]:
    """What a learner should know of the layout."""
    lines = [f"{title} is missing; its pages are left empty" for title in plan.missing]
    pages = {section.title: count for section, count in plan.slots}
    for title, (count, first, last) in numbering.moved.items():
        where = f"page {first}" if first == last else f"pages {first}–{last}"
        if title in plan.unknown:
            lines.append(f"{title} is not in the assignment's template; it stands in the appendix, {where}")
        else:
            lines.append(
                f"{title} is {count} page{'s' * (count > 1)} longer than the {pages[title]} it has; the rest stands in "
                f"the appendix, {where}. Print less, or make code and figures shorter."
            )
    return lines
