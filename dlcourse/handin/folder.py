"""A folder, or a ZIP, of what ``course pack`` made: names that follow the course's pattern."""

from __future__ import annotations

import datetime
import unicodedata
from pathlib import Path, PurePosixPath

from dlcourse.handin.archive import Entry, Refusal
from dlcourse.handin.downloads import HandedIn, Person, Upload, ascii_id, squeezed
from dlcourse.handin.names import people
from dlcourse.handin.paths import shown
from dlcourse.handin.settings import HandIn

_SUFFIXES = (".zip", ".ipynb", ".pdf")


def read(entries: list[Entry], stem: str, notebooks: list[str], rules: HandIn) -> tuple[list[HandedIn], list[Refusal]]:
    """What each person handed in, and the files whose names do not follow the pattern.

    Args:
        entries: the files.
        stem: the course's pattern with ``{last}`` and ``{first}`` open.
        notebooks: of the assignment: with several, a notebook's name follows the pattern in a file name.
        rules: for the zone of the dates in a ZIP, which state none.
    """
    found: dict[str, HandedIn] = {}
    refused: list[Refusal] = []
    for entry in entries:
        path = PurePosixPath(unicodedata.normalize("NFC", entry.name))
        stems = [path.stem, *(path.stem.removesuffix(f"_{name}") for name in notebooks)]
        names = next((read for one in stems if (read := people(stem, one))), None)
        if names is None or path.suffix.lower() not in _SUFFIXES:
            wanted = stem.format(last="LastName", first="FirstName")
            refused.append(Refusal(shown(entry.name), f"not called like {wanted}.zip"))
            continue
        last, first = names
        moment = _moment(entry, rules)
        order = int(moment.timestamp()) if moment else 0
        key = squeezed(last) + "/" + squeezed(first)
        label = f"{last}_{first}"
        default = label if ascii_id(label) == label and label.isascii() else ""
        default = default or "_".join(part for part in (ascii_id(last), ascii_id(first)) if part)
        person = Person(first=first, last=last, name=f"{last}, {first}")
        before = found.get(key) or HandedIn(person, shown(label), default)
        newest = moment if before.submitted is None or (moment and moment > before.submitted) else before.submitted
        uploads = [*before.uploads, Upload(path.name, entry, order)]
        found[key] = HandedIn(
            before.person, before.label, before.default_id, uploads, newest, order=max(order, before.order)
        )
    return list(found.values()), refused


def _moment(entry: Entry, rules: HandIn) -> datetime.datetime | None:
    """When a file was last written, as its folder or ZIP says; None where that is no real date."""
    if isinstance(entry.source, Path):
        return datetime.datetime.fromtimestamp(int(entry.source.stat().st_mtime), datetime.UTC)
    assert entry.info is not None
    try:
        moment = datetime.datetime(*entry.info.date_time)
    except ValueError:
        return None
    return rules.local(moment) if moment.year > 1980 else None
