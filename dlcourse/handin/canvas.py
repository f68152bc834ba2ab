"""Canvas's "Download Submissions": a flat ZIP whose file names say everything.

``lastnamefirstname[_LATE]_userid_attachmentid_name.ext``, where the name is the sortable one without anything but
letters and digits; anonymous assignments have ``[LATE_]anon_id_attachmentid_name.ext``; group assignments the group's
name and the id of one member. Text entries end in ``_text.html``, addresses in ``_link.html``. A second file of one
name gets ``-1`` before its suffix. There is no time in it: the dates in the ZIP are those of the download.

Source: ``lib/content_zipper.rb`` of Canvas.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from dlcourse.handin.archive import Entry, Refusal
from dlcourse.handin.downloads import HandedIn, Person, Upload, ascii_id
from dlcourse.handin.paths import shown

_FILE = r"(?:(?P<file>\d{1,20})_(?P<name>.+)|(?P<kind>text|link)\.html)"
_ANONYMOUS = re.compile(rf"(?:(?P<late>LATE|late)_)?anon_(?P<anon>[A-Za-z0-9]{{1,40}})_{_FILE}", re.DOTALL)
_NAMED = re.compile(rf"(?:(?P<who>.+?)_)?(?:(?P<late>LATE|late)_)?(?P<user>\d{{1,20}})_{_FILE}", re.DOTALL)
_KINDS = {"text": "a text entry without a file", "link": "an address instead of a file"}


def read(entries: list[Entry]) -> tuple[list[HandedIn], list[Refusal]]:
    """What each person handed in, and what of the download was not understood."""
    found: dict[str, HandedIn] = {}
    refused: list[Refusal] = []
    for entry in entries:
        name = PurePosixPath(entry.name).name
        match = _ANONYMOUS.fullmatch(name) or _NAMED.fullmatch(name)
        if match is None:
            refused.append(Refusal(shown(entry.name), "its name is none that Canvas gives"))
            continue
        if match["kind"]:
            refused.append(Refusal(shown(entry.name), _KINDS[match["kind"]]))
            continue
        one = _handed_in(match)
        order = int(match["file"])
        before = found.get(one.label, one)
        found[one.label] = HandedIn(
            one.person,
            one.label,
            one.default_id,
            [*before.uploads, Upload(match["name"], entry, order)],
            late=before.late or one.late,
            order=max(before.order, order),
        )
    return list(found.values()), refused


def _handed_in(match: re.Match[str]) -> HandedIn:
    late = bool(match["late"])
    if "anon" in match.re.groupindex:
        label = f"anon_{match['anon']}"
        return HandedIn(Person(anonymous_id=match["anon"]), label, label, late=late)
    who = match["who"] or ""
    label = f"{who}_{match['user']}" if who else match["user"]
    default = f"{ascii_id(who)[:80] or 'student'}_{match['user']}"
    return HandedIn(Person(canvas_id=match["user"], name=who), shown(label), default, late=late)
