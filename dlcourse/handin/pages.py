"""Look into PDF and ZIP of a hand-in: can they be opened, and do they hold what they should?"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pypdf

from dlcourse.errors import CourseError
from dlcourse.handin.sheet import Sheet
from dlcourse.pdf.pages import PageMap, differences, page_map

MAX_PDF = 200 * 2**20  # bytes
MAX_ZIP = 500 * 2**20  # bytes, unpacked
logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it would log every oddity of a damaged file


class BadPdf(Exception):
    """A PDF that cannot be opened; the message says why."""


def page_count(path: Path) -> int:
    """The number of pages of a PDF.

    Raises:
        BadPdf: too large, encrypted, damaged, or without a page.
    """
    if path.stat().st_size > MAX_PDF:
        raise BadPdf(f"{path.name} is larger than {MAX_PDF // 2**20} MiB")
    try:
        pages = len(pypdf.PdfReader(path).pages)
    except Exception as error:  # parsers fed with anything may raise anything
        raise BadPdf(f"{path.name} cannot be opened as a PDF: {str(error)[:100]}") from error
    if not pages:
        raise BadPdf(f"{path.name} has no page")
    return pages


def problems(path: Path, sheet: Sheet) -> Iterator[tuple[str, str]]:
    """What is wrong with the pages of a PDF, each with how to mend it."""
    again = f"Run `course pack {sheet.assignment}` again"
    try:
        pages = page_count(path)
    except BadPdf as error:
        yield str(error), again
        return
    if sheet.max_pages and pages > sheet.max_pages:
        yield f"{path.name} has {pages} pages, at most {sheet.max_pages} are allowed", "Shorten outputs and texts"
    if sheet.layout == "template":
        try:
            found = page_map(path)
        except CourseError as error:
            yield str(error), again
            return
        for difference in differences(_of_notebook(found, sheet), sheet.pages):
            yield entry(sheet, difference), again


def entry(sheet: Sheet, title: str) -> str:
    """What a question is called in the page map of a PDF: with its notebook's name where there are several."""
    return f"{sheet.notebook}: {title}" if len(sheet.notebooks) > 1 else title


def _of_notebook(found: PageMap, sheet: Sheet) -> PageMap:
    """The part of a page map that is of one notebook, counted from that notebook's first page.

    `course pdf` prints one notebook and names none: then the whole map is of that one.
    """
    prefix = entry(sheet, "")
    if not any(title.startswith(prefix) for title in found):
        return found
    own = {title[len(prefix) :]: span for title, span in found.items() if title.startswith(prefix)}
    before = min(first for first, _ in own.values()) - 1
    return {title: (first - before, last - before) for title, (first, last) in own.items()}


def zip_problem(path: Path, expected: list[str]) -> str | None:
    """What is wrong with the ZIP of a hand-in: it must hold exactly the expected files."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(archive.namelist())
            if sum(info.file_size for info in archive.infolist()) > MAX_ZIP:
                return f"{path.name} holds more than {MAX_ZIP // 2**20} MiB"
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        return f"{path.name} cannot be opened: {error}"
    if names != expected:
        return f"{path.name} holds {', '.join(names[:6]) or 'nothing'}, not {', '.join(expected)}"
    return f"{path.name} is damaged: {damaged}" if damaged else None
