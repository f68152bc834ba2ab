"""What a download of a class holds: who handed in what and when. Read by canvas.py, gradescope.py and folder.py."""

from __future__ import annotations

import datetime
import re
import unicodedata
from dataclasses import dataclass, field, replace

from dlcourse.handin.archive import Entry


@dataclass(frozen=True)
class Person:
    """Whom a download names; what it does not say is empty."""

    canvas_id: str = ""
    anonymous_id: str = ""
    email: str = ""
    sid: str = ""
    name: str = ""
    first: str = ""
    last: str = ""

    def forms(self) -> set[str]:
        """The ways to spell the name, as Canvas squeezes them: letters and digits alone, lower case."""
        whole = {squeezed(self.name), squeezed(self.last + self.first), squeezed(self.first + self.last)}
        return whole - {""}


@dataclass(frozen=True)
class Upload:
    """One file that a learner uploaded: its name as the learner had it; of two uploads the larger order is newer."""

    name: str
    entry: Entry
    order: int = 0


@dataclass(frozen=True)
class HandedIn:
    """All that one person handed in."""

    person: Person
    label: str  # for reports: how the download names it
    default_id: str  # the student without a roster; empty: none can be made
    uploads: list[Upload] = field(default_factory=list)
    submitted: datetime.datetime | None = None
    late: bool = False
    order: int = 0  # of two downloads the larger is newer

    def of(self, person: Person, default_id: str) -> HandedIn:
        """The same files, handed in by another member of the team."""
        return replace(self, person=person, default_id=default_id)


def squeezed(name: str) -> str:
    """A name as Canvas has it in file names: lower case, without what is no letter, mark or digit."""
    composed = unicodedata.normalize("NFC", name).casefold()
    return "".join(c for c in composed if unicodedata.category(c)[0] in "LMN")


def ascii_id(name: str) -> str:
    """A name as part of a student's id: ASCII letters and digits, accents dropped; empty if no letter is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-_.")
