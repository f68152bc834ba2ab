"""``course pack``: the files that a learner uploads, made from the notebooks and opened again before it says so."""

from __future__ import annotations

import io
import re
import tempfile
import unicodedata
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pypdf
from nbformat.v4 import new_markdown_cell, new_notebook

from dlcourse.errors import CourseError
from dlcourse.handin import pages
from dlcourse.handin.cells import read_notebook
from dlcourse.handin.names import hand_in_stem, notebook_names
from dlcourse.handin.rules import OF_FILES, Finding, check_rules
from dlcourse.handin.sheet import Sheet, sheet_of
from dlcourse.pdf.pages import APPENDIX, PageMap, written
from dlcourse.zips import zip_bytes


class Refused(CourseError):
    """The notebooks break rules; the message names them all."""


@dataclass(frozen=True)
class Packed:
    """What was written, and what a learner should know of it."""

    files: list[Path]
    pages: int
    sheet: Sheet
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def pack(
    assignment: str,
    first: str,
    last: str,
    *,
    where: Path,
    output: Path,
    anyway: bool = False,
    release: Path | None = None,
) -> Packed:
    """Make PDF, notebooks and ZIP of a hand-in.

    The ZIP holds the PDF and each notebook. An assignment of several notebooks gives one PDF, one notebook after the
    other, because Gradescope takes one PDF a submission.

    Args:
        assignment: its name, or the path of its folder or of its notebook.
        first: the learner's first name, in any script.
        last: the learner's last name.
        where: the folder to look in.
        output: the folder to write to.
        anyway: pack what breaks rules, with a last page in the PDF that says so.
        release: the notebook, or the folder of notebooks, as handed out, for those that lost their metadata.

    Raises:
        Refused: rules are broken.
        CourseError: notebooks are missing, a name has no letters, what was written cannot be opened again.
    """
    notebooks = _notebooks(assignment, where, release)
    sheet = next(iter(notebooks.values()))
    stem = hand_in_stem(sheet, first, last)
    person = "".join(c for c in unicodedata.normalize("NFC", f"{first} {last}") if c.isprintable())
    findings: list[Finding] = []
    for path, own in notebooks.items():
        findings += [f for f in check_rules(path, read_notebook(path), own) if f.rule not in OF_FILES]
    with tempfile.TemporaryDirectory(prefix="dlc-pack-") as folder:
        pdf, page_map, warnings = _pdf(notebooks, person, Path(folder))
        drawn = Path(folder, f"{stem}.pdf")
        drawn.write_bytes(pdf)
        try:
            pages.page_count(drawn)
        except pages.BadPdf as error:
            raise CourseError(f"The PDF did not come out whole, so nothing was written: {error}") from error
        if "pages" in sheet.rules:
            found = dict.fromkeys(problem for own in notebooks.values() for problem in pages.problems(drawn, own))
            findings += [Finding("pages", message, mend) for message, mend in found]
    if findings and not anyway:
        raise Refused(_refusal(findings))
    if findings:
        pdf = _joined([(pdf, page_map), _warning_page(findings, sheet, person)])
    names = notebook_names(sheet, stem)
    content = {f"{stem}.pdf": pdf} | {names[own.notebook]: path.read_bytes() for path, own in notebooks.items()}
    content[f"{stem}.zip"] = zip_bytes(dict(sorted(content.items())), compressed=False)
    count = _verified(content, stem)
    return Packed(_write(output, content), count, sheet, findings, warnings)


def _notebooks(assignment: str, where: Path, release: Path | None) -> dict[Path, Sheet]:
    """The notebooks of an assignment and their sheets, in the order of the notebooks' names."""
    named = where / assignment
    if named.is_file():
        candidates, folder = [named], named.parent
    else:
        folder = named if named.is_dir() else where
        candidates = sorted(folder.glob("*.ipynb"))
    sheets = _sheets(candidates, _released(release) if release else {})
    wanted = {sheet.assignment for sheet in sheets.values()} if named.exists() else {assignment}
    found = {path: sheet for path, sheet in sheets.items() if sheet.assignment in wanted}
    if not found or len(wanted) > 1:
        listed = ", ".join(sorted({sheet.assignment for sheet in sheets.values()}))
        hint = f"The notebooks in it are of: {listed}." if listed else "No notebook in it carries hand-in rules."
        raise CourseError(
            f"There is no notebook of {assignment!r} in {folder.resolve()}. {hint} Change to the folder of your "
            "notebooks, or name one; where an editor dropped their metadata, add --release with the file as handed out."
        )
    sheet = next(iter(found.values()))
    chosen: dict[Path, Sheet] = {}
    for notebook in sheet.notebooks:
        paths = [path for path, own in found.items() if own.notebook == notebook]
        exact = [path for path in paths if path.name == f"{notebook}.ipynb"] or paths
        if not exact:
            raise CourseError(f"{notebook}.ipynb is missing in {folder.resolve()}: {sheet.assignment} has "
                              f"{', '.join(f'{n}.ipynb' for n in sheet.notebooks)}.")  # fmt: skip
        if len(exact) > 1:
            raise CourseError(
                f"Which one is {notebook}.ipynb? {', '.join(path.name for path in exact)}. Rename it, or name its path."
            )
        chosen[exact[0]] = found[exact[0]]
    return chosen


def _sheets(candidates: list[Path], released: dict[str, Sheet]) -> dict[Path, Sheet]:
    sheets = {}
    for path in candidates:
        try:
            sheet = released.get(path.stem) or sheet_of(read_notebook(path))
        except CourseError:
            if len(candidates) == 1:
                raise
            continue  # some other file that lies there
        if sheet:
            sheets[path] = sheet
    return sheets


def _released(release: Path) -> dict[str, Sheet]:
    paths = sorted(release.glob("*.ipynb")) if release.is_dir() else [release]
    sheets = [sheet for path in paths if (sheet := sheet_of(read_notebook(path)))]
    if not sheets:
        raise CourseError(f"{release} carries no hand-in rules: name the notebook as it was handed out.")
    return {sheet.notebook: sheet for sheet in sheets}


def _pdf(notebooks: dict[Path, Sheet], person: str, folder: Path) -> tuple[bytes, PageMap, list[str]]:
    """The PDF of all notebooks, its page map and the warnings."""
    from dlcourse.pdf import notebook_to_pdf

    parts: list[tuple[bytes, PageMap]] = []
    warnings: list[str] = []
    for number, (path, sheet) in enumerate(notebooks.items()):
        target = folder / f"{number}.pdf"
        layout = sheet.pages or "template" if sheet.layout == "template" else "natural"
        report = notebook_to_pdf(
            path, target, name=person, course=sheet.course, assignment=sheet.assignment, pages=layout
        )
        warnings += [f"{path.name}, {warning}" if len(notebooks) > 1 else warning for warning in report.warnings]
        parts.append((target.read_bytes(), {pages.entry(sheet, title): span for title, span in report.pages.items()}))
    parts = _appendices_last(parts)
    return _joined(parts), _joined_map(parts), warnings


def _appendices_last(parts: list[tuple[bytes, PageMap]]) -> list[tuple[bytes, PageMap]]:
    """Every appendix in a part of its own, after all notebooks: their questions stay where a template has them."""
    if len(parts) == 1:
        return parts
    bodies, appendices = [], []
    for pdf, page_map in parts:
        title = next((title for title in page_map if title.endswith(APPENDIX)), None)
        if title is None:
            bodies.append((pdf, page_map))
            continue
        first, last = page_map[title]
        bodies.append((_cut(pdf, 0, first - 1), {t: span for t, span in page_map.items() if t != title}))
        appendices.append((_cut(pdf, first - 1, last), {title: (1, last - first + 1)}))
    return bodies + appendices


def _cut(pdf: bytes, begin: int, end: int) -> bytes:
    """Some pages of a PDF, with its properties and their bookmarks."""
    writer = pypdf.PdfWriter()
    writer.append(io.BytesIO(pdf), pages=(begin, end))
    return _bytes(writer, pdf, {})


def _joined_map(parts: list[tuple[bytes, PageMap]]) -> PageMap:
    joined: PageMap = {}
    before = 0
    for pdf, page_map in parts:
        joined |= {title: (first + before, last + before) for title, (first, last) in page_map.items()}
        before += len(pypdf.PdfReader(io.BytesIO(pdf)).pages)
    return joined


def _joined(parts: list[tuple[bytes, PageMap]]) -> bytes:
    """One PDF of several, outlines, properties and page maps kept; the same parts give the same bytes."""
    if len(parts) == 1:
        return parts[0][0]
    writer = pypdf.PdfWriter()
    for part, _ in parts:
        writer.append(io.BytesIO(part))
    return _bytes(writer, parts[0][0], {"/Keywords": written(_joined_map(parts))})


def _bytes(writer: pypdf.PdfWriter, of: bytes, more: dict[str, str]) -> bytes:
    """What was written, with the properties of another PDF and some more."""
    if properties := pypdf.PdfReader(io.BytesIO(of)).metadata:
        writer.add_metadata({name: str(value) for name, value in properties.items()})
    writer.add_metadata(more)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def _warning_page(findings: list[Finding], sheet: Sheet, person: str) -> tuple[bytes, PageMap]:
    """The last page of a hand-in that breaks rules: last, so that every question keeps its page."""
    from dlcourse.pdf.bounded import node_to_pdf

    lines = ["# Packed although hand-in rules are broken", "", "For the grader; nothing is deducted by itself.", ""]
    for finding in findings:
        cost = f" (may cost {finding.penalty:g} %)" if finding.penalty else ""
        lines.append(f"- **{finding.rule}**{cost}: {_plain(_said(finding))}")
    page = new_notebook(
        cells=[new_markdown_cell("\n".join(lines))], metadata={"title": f"{sheet.assignment}: warnings"}
    )
    pdf, report = node_to_pdf(page, None, "warnings", name=person, course=sheet.course, assignment=sheet.assignment)
    return pdf, {"Warnings": (1, max(last for _, last in report.pages.values()))}


def _said(finding: Finding) -> str:
    return f"{finding.place}: {finding.message}" if finding.place else finding.message


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>$#|~&])", r"\\\1", text)


def _refusal(findings: list[Finding]) -> str:
    lines = [f"  {finding.rule}: {_said(finding)}. {finding.mend}." for finding in findings]
    return "\n".join(["Not packed. Mend this, or add --anyway to pack it with a page of warnings:", *lines])


def _verified(content: dict[str, bytes], stem: str) -> int:
    """Open everything again as its receiver will; return the pages of the PDF.

    Raises:
        CourseError: something cannot be opened.
    """
    try:
        count = len(pypdf.PdfReader(io.BytesIO(content[f"{stem}.pdf"])).pages)
        with zipfile.ZipFile(io.BytesIO(content[f"{stem}.zip"])) as archive:
            inside = {name: archive.read(name) for name in archive.namelist()}
        for name, raw in inside.items():
            if name.endswith(".ipynb"):
                nbformat.reads(raw.decode("utf-8-sig"), as_version=4)
    except Exception as error:  # whatever a reader raises: nothing was written yet
        raise CourseError(f"What was packed cannot be opened again, so nothing was written: {error}") from error
    if not count or inside != {name: raw for name, raw in content.items() if not name.endswith(".zip")}:
        raise CourseError("What was packed is not what was put in, so nothing was written.")
    return count


def _write(output: Path, content: dict[str, bytes]) -> list[Path]:
    output.mkdir(parents=True, exist_ok=True)
    parts = {name: output / f".{number}.part" for number, name in enumerate(content)}
    try:
        for name, part in parts.items():
            part.write_bytes(content[name])
        return [part.replace(output / name) for name, part in parts.items()]
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
