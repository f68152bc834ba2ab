"""Which pages belong to which question: the template of an assignment, and the page map of a PDF.

A *template* says how many pages every question gets; it is made by `course build` and travels in the metadata of the
released notebook (``metadata.dlcourse.pages``). A *page map* says on which pages every question stands; it is stored in
the keywords of the PDF's information dictionary, as the words ``page-map`` and a JSON list of
``[title, first page, last page]``, which any PDF reader shows and which survives copying and joining.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcourse.errors import CourseError

COVER, APPENDIX = "Cover", "Appendix"
PageMap = dict[str, tuple[int, int]]

_MAP = re.compile(r"page-map (\[.*\])")
_LABEL = re.compile(r"\s*(question\s+\w+)", re.IGNORECASE)
_MAX_PAGES = 200  # of one question


def label(title: str) -> str:
    """What a question is recognised by: "question 3" of "Question 3: Forward pass [5 points]", else the whole title."""
    found = _LABEL.match(title)
    return " ".join((found[1] if found else title).casefold().split())


def page_map(path: Path) -> PageMap:
    """The page map that a PDF carries: question title → its first and last page, counted from 1.

    Everything before the first question is called "Cover"; what did not fit a template stands under "Appendix".

    Args:
        path: a PDF made by `course pdf`.

    Raises:
        CourseError: the file is no PDF, or carries no page map: another program made it or printed it anew.
    """
    keywords, count = _keywords(path)
    pages = parsed(keywords)
    if not pages:
        raise CourseError(
            f"{path} carries no page map: it was not made by `course pdf`, or another program wrote it anew. "
            "Make it with `course pdf`, and hand in that file as it is."
        )
    if max(last for _, last in pages.values()) > count:
        raise CourseError(f"{path} has {count} pages, fewer than its page map says: pages were removed.")
    return pages


def _keywords(path: Path) -> tuple[str, int]:
    """The keywords of a PDF and how many pages it has."""
    import pypdf

    try:
        reader = pypdf.PdfReader(path)
        information = reader.metadata
        return str(information.get("/Keywords", "") if information else ""), len(reader.pages)
    except OSError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise CourseError(f"{path} is not a readable PDF: {str(error)[:100] or type(error).__name__}") from error


def parsed(keywords: str) -> PageMap:
    """The page map within a PDF's keywords; empty if there is none."""
    found = _MAP.search(keywords)
    try:
        entries = json.loads(found[1]) if found else []
        return {str(title): (int(first), int(last)) for title, first, last in entries}
    except (ValueError, TypeError, RecursionError):
        return {}


def written(pages: PageMap) -> str:
    """The keywords that `parsed` reads."""
    return "page-map " + json.dumps([[title, *span] for title, span in pages.items()], ensure_ascii=False)


def template_in(notebook: Mapping[str, Any]) -> dict[str, int]:
    """The template that a notebook carries: title → number of pages, in order; empty if it carries none."""
    found: object = notebook
    for name in ("metadata", "dlcourse", "pages"):
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {
        str(title): min(count, _MAX_PAGES)
        for title, count in found.items()
        if isinstance(count, int) and not isinstance(count, bool) and count > 0
    }


def template_map(template: Mapping[str, int]) -> PageMap:
    """The pages of every question in a PDF that follows `template`."""
    pages: PageMap = {}
    first = 1
    for title, count in template.items():
        pages[title] = (first, first + count - 1)
        first += count
    return pages


def allotted(lengths: Mapping[str, float], wanted: Mapping[str, int]) -> dict[str, int]:
    """The template for an assignment: a seventh more than its solution needs and a quarter page, in whole pages.

    The cover, where learners write nothing, gets what it needs.

    Args:
        lengths: of every section of the solution's PDF, in pages and parts of pages.
        wanted: pages that the author asks for, by "Question 3", the whole title or "Cover"; these win.

    Raises:
        CourseError: the author asks for a question that there is not.
    """
    asked = {label(title): count for title, count in wanted.items()}
    known = {label(title) for title in lengths}
    if unknown := [title for title in wanted if label(title) not in known]:
        raise CourseError(
            f"metadata.dlcourse.pages names {', '.join(map(repr, unknown))}, but the notebook has: {', '.join(lengths)}"
        )
    needed = {title: length if title == COVER else length * 8 / 7 + 0.25 for title, length in lengths.items()}
    return {title: asked.get(label(title)) or math.ceil(length - 0.01) for title, length in needed.items()}


def differences(found: PageMap, template: Mapping[str, int]) -> list[str]:
    """What a page map has otherwise than a template wants; one sentence each, empty if all is well.

    An appendix is none of them: it comes after everything else, and whoever prints it is warned.
    """
    wanted = {label(title): (title, span) for title, span in template_map(template).items()}
    messages = []
    for title in found:
        if title != APPENDIX and label(title) not in wanted:
            messages.append(f"{title} is not in the template")
    places = {label(title): span for title, span in found.items()}
    for name, (title, span) in wanted.items():
        if name not in places:
            messages.append(f"{title} is missing")
        elif places[name] != span:
            messages.append(f"{title} stands on {_pages(places[name])}, the template has it on {_pages(span)}")
    return messages


def _pages(span: tuple[int, int]) -> str:
    return f"page {span[0]}" if span[0] == span[1] else f"pages {span[0]}–{span[1]}"


def described(pages: PageMap) -> list[str]:
    """One line for each entry of a page map."""
    return [f"{title}: {_pages(span)}" for title, span in pages.items()]
