"""``course collect``: the download of a class → ``submitted/``, with a report of everything that was not used."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from dlcourse.course import Course, readable_name, suggest
from dlcourse.errors import CourseError
from dlcourse.handin import canvas, folder, gradescope
from dlcourse.handin.archive import MAX_CLASS_ENTRIES, BadArchive, Entry, Refusal, folder_entries, opened
from dlcourse.handin.cells import read_notebook
from dlcourse.handin.classlist import due_of, remember
from dlcourse.handin.downloads import HandedIn
from dlcourse.handin.release import stem
from dlcourse.handin.roster import Roster, Row, Unknown
from dlcourse.handin.rules import OF_FILES, Finding, check_rules, summary
from dlcourse.handin.settings import HandIn
from dlcourse.handin.sheet import Sheet, sheet_of
from dlcourse.handin.store import Origin, place, writable
from dlcourse.handin.unpack import Assignment, unpack

SOURCES = ("canvas", "gradescope", "folder")


@dataclass(frozen=True)
class Collected:
    """One student's submission: what was done with it."""

    student: str
    label: str
    state: str
    late: bool
    submitted: str | None
    files: list[str]
    notes: list[str]
    findings: list[Finding]


@dataclass
class Collection:
    """What came of a download. ``not_used``: by whom or what, each with the reason."""

    assignment: str
    source: str
    dry_run: bool
    students: list[Collected] = field(default_factory=list)
    not_used: list[Refusal] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def collect(
    course: Course,
    download: Path,
    source: str,
    *,
    assignment: str | None = None,
    roster: Path | None = None,
    dry_run: bool = False,
    force: bool = False,
    say: Callable[[int, int], None] = lambda done, total: None,
) -> Collection:
    """Bring the submissions of a class into ``submitted/``. Running it again changes nothing.

    Args:
        download: a ZIP or a folder.
        source: ``canvas``, ``gradescope`` or ``folder``.
        assignment: its name; may be left out where the course has one, or the file names tell.
        roster: a CSV that says which student is meant.
        dry_run: report, and write nothing.
        force: replace also what is newer or was changed by hand.
        say: called with how many submissions are done, and how many there are.

    Raises:
        CourseError: nothing can be collected: no such download, unknown assignment, unusable roster.
    """
    with _entries(download) as (entries, refused):
        name = assignment or _guess(course, entries)
        notebooks, sheets = _released(course, name)
        rules = HandIn.read(course.config, name)
        people = Roster(roster, rules.local) if roster else None
        if source == "canvas":
            handed_in, more = canvas.read(entries)
        elif source == "gradescope":
            handed_in, more = gradescope.read(entries)
        else:
            handed_in, more = folder.read(entries, stem(rules, name), list(notebooks), rules)
        result = Collection(name, source, dry_run, not_used=[*refused, *more])
        if not handed_in:
            raise CourseError(_nothing(download, source, result.not_used))
        due = due_of(course, name, rules)
        known = {}
        meant = _newest(list(_students(handed_in, people, result)), result)
        if not dry_run and meant:
            writable(course, name)
        for done, (student, (one, row)) in enumerate(meant.items(), 1):
            if _take(course, result, student, one, row, notebooks, sheets, due, force):
                known[student] = (one.person, row.person if row else None)
            say(done, len(meant))
    if not dry_run:
        remember(course, name, known, rules)
    return result


@contextmanager
def _entries(download: Path) -> Iterator[tuple[list[Entry], list[Refusal]]]:
    if download.is_dir():
        yield folder_entries(download)
        return
    if not download.is_file():
        raise CourseError(f"There is no file or folder {download}.")
    try:
        with opened(download, MAX_CLASS_ENTRIES) as found:
            yield found
    except BadArchive as error:
        raise CourseError(f"{download}: {error}") from error


def _guess(course: Course, entries: list[Entry]) -> str:
    """The assignment of a download: the only one, or the only one whose names stand in it.

    Raises:
        CourseError: it cannot be told.
    """
    known = course.assignments()
    if len(known) == 1:
        return known[0]
    names = [Path(entry.name).stem for entry in entries]
    found = [
        name
        for name in known
        if any(
            part in one
            for one in names
            for part in (
                stem(HandIn.read(course.config, name), name).format(first="", last="").strip("_"),
                *course.notebooks(name),
            )
        )
    ]
    if len(found) == 1:
        return found[0]
    raise CourseError(f"Which assignment is it? Add --assignment. {suggest('', found or known)}")


def _released(course: Course, assignment: str) -> tuple[Assignment, dict[str, Sheet]]:
    """The grade_ids of each notebook of the release, and its hand-in rules."""
    found, sheets = {}, {}
    for name in course.notebooks(assignment):
        path = course.path("release", assignment) / f"{name}.ipynb"
        try:
            release = nbformat.read(path, as_version=4)
        except (OSError, ValueError) as error:
            raise CourseError(f"{assignment} has not been released. Run `course build {assignment}`.") from error
        cells = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in release.cells]
        found[name] = {grade_id for grade_id in cells if grade_id}
        if sheet := sheet_of(release):
            sheets[name] = sheet
    return found, sheets


def _findings(files: dict[str, Path], sheets: dict[str, Sheet]) -> list[Finding]:
    """What the notebooks break of the rules, for the grader to decide on; a file that cannot be read breaks none."""
    found: list[Finding] = []
    for name, sheet in sheets.items():
        try:
            path = files[f"{name}.ipynb"]
            found += [f for f in check_rules(path, read_notebook(path), sheet) if f.rule not in OF_FILES]
        except (KeyError, CourseError):
            continue
    return found


def _nothing(download: Path, source: str, refused: list[Refusal]) -> str:
    listed = "".join(f"\n  {one.name}: {one.why}" for one in refused[:10])
    more = f"\n  … and {len(refused) - 10} more" if len(refused) > 10 else ""
    others = ", ".join(name for name in SOURCES if name != source)
    return f"{download} holds no submission as {source} gives them. Is it from {others}?{listed}{more}"


def _students(
    handed_in: list[HandedIn], roster: Roster | None, result: Collection
) -> Iterator[tuple[str, HandedIn, Row | None]]:
    """Whose each submission is."""
    for one in handed_in:
        if roster is not None:
            try:
                rows = roster.find(one)
            except Unknown as error:
                result.not_used.append(Refusal(one.label, str(error)))
                continue
            yield from ((row.student, one, row) for row in rows)
        elif readable_name(one.default_id):
            yield one.default_id, one, None
        else:
            why = "its name cannot be a student's id: name the students with --roster"
            result.not_used.append(Refusal(one.label, why))


def _newest(
    meant: list[tuple[str, HandedIn, Row | None]], result: Collection
) -> dict[str, tuple[HandedIn, Row | None]]:
    """One submission for each student: the newest. Two people who would share an id without a roster get none."""
    chosen: dict[str, tuple[HandedIn, Row | None]] = {}
    for student, one, row in sorted(meant, key=lambda m: (m[0].casefold(), m[1].order)):
        before = chosen.get(student)
        if before and row is None and before[0].person != one.person:
            why = f"{before[0].label} would be the student {student!r} too: tell them apart with --roster"
            result.not_used.append(Refusal(one.label, why))
            continue
        if before:
            result.not_used.append(Refusal(before[0].label, f"an older submission of {student}"))
        chosen[student] = (one, row)
    return chosen


def _take(
    course: Course,
    result: Collection,
    student: str,
    one: HandedIn,
    row: Row | None,
    notebooks: Assignment,
    sheets: dict[str, Sheet],
    due: datetime.datetime | None,
    force: bool,
) -> bool:
    """Unpack and place one submission; whether it was taken."""
    with tempfile.TemporaryDirectory(prefix="dlc-collect-") as scratch:
        unpacked = unpack(one.uploads, notebooks, Path(scratch))
        result.not_used += [Refusal(f"{one.label}: {refusal.name}", refusal.why) for refusal in unpacked.refused]
        if not unpacked.files:
            result.not_used.append(Refusal(one.label, f"nothing collected for {student}: no notebook was handed in"))
            return False
        notes = list(unpacked.notes)
        missing = [f"{name}.ipynb" for name in notebooks if f"{name}.ipynb" not in unpacked.files]
        if missing:
            notes.append(f"without {', '.join(missing)}")
        submitted = (row.submitted if row else None) or one.submitted
        if one.late and submitted is None:
            # Canvas says that it was late and not how much: the least that is true, so that a late policy sees it.
            submitted = due + datetime.timedelta(seconds=1) if due else None
            notes.append("late; by how much the download does not say" + ("" if due else ", and no deadline is set"))
        findings = _findings(unpacked.files, sheets)
        if findings:
            notes.append(summary(findings))
        origin = Origin(result.source, one.label, one.order, submitted, one.late)
        state = place(course, result.assignment, student, unpacked.files, origin, force=force, dry_run=result.dry_run)
        if state == "older":
            notes.append("a newer one lies there; --force replaces it")
        if state == "edited":
            notes.append("what lies there was put or changed by hand and is kept; --force replaces it")
        at = submitted.isoformat(" ", "seconds") if submitted else None
        result.students.append(
            Collected(student, one.label, state, one.late, at, sorted(unpacked.files), notes, findings)
        )
        return state in ("new", "updated", "unchanged")
