"""Look into PDF and ZIP of a hand-in: can they be opened, and do they hold what they should?"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pypdf

from dlcourse.handin.sheet import Sheet

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
