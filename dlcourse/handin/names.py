"""Names of hand-ins: from people's names of any script, legal on every system, and read back."""

from __future__ import annotations

import re
import unicodedata

from dlcourse.errors import CourseError
from dlcourse.handin.sheet import Sheet

MAX_PART = 80  # bytes of each name, so that no system's limit of 255 for a file name is near
_JOINERS = "\u200c\u200d"  # letters of Persian, Hindi and other scripts are joined or parted by them
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|CLOCK\$|COM[0-9¹²³]|LPT[0-9¹²³])(?:\.|\Z)", re.IGNORECASE)


def name_part(name: str, which: str) -> str:
    """A person's name as part of a file name: letters of any script, digits and ``'.-``; composed (NFC).

    Args:
        name: as the person writes it.
        which: for the message, such as "last name".

    Raises:
        CourseError: nothing is left of it.
    """
    text = unicodedata.normalize("NFC", name)
    kept = "".join(c if _legal(c) else "-" for c in text if not _invisible(c))
    kept = re.sub(r"-{2,}", "-", kept).strip("-. '" + _JOINERS)
    while len(kept.encode()) > MAX_PART:
        kept = kept[:-1]
        while kept and unicodedata.combining(kept[-1]):  # never half a letter
            kept = kept[:-1]
    kept = kept.rstrip("-. '" + _JOINERS)
    if not any(unicodedata.category(c)[0] in "LN" for c in kept):
        raise CourseError(
            f"The {which} {name!r} has no letter that a file name can hold. Give it with --first and --last."
        )
    return kept


def _legal(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN" or char in "'.-" + _JOINERS


def _invisible(char: str) -> bool:
    """Control characters, and those that only turn the direction of writing."""
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Cn", "Co") and char not in _JOINERS and not char.isspace()


def hand_in_stem(sheet: Sheet, first: str, last: str) -> str:
    """The name of a hand-in without suffix.

    Raises:
        CourseError: a name of which nothing is left.
    """
    parts = {"last": name_part(last, "last name"), "first": name_part(first, "first name")}
    stem = sheet.stem.format(**parts)
    return f"_{stem}" if _RESERVED.match(stem) else stem


def people(stem: str, name: str) -> tuple[str, str] | None:
    """(last, first) from the name of a hand-in, or None if it does not follow the pattern.

    Args:
        stem: the course's pattern with ``{last}`` and ``{first}`` open.
        name: a file name without suffix; copies such as ``… (1)`` and ``…-2`` count as the name itself.
    """
    escaped = re.escape(unicodedata.normalize("NFC", stem))
    for field in ("last", "first"):
        escaped = escaped.replace(rf"\{{{field}\}}", rf"(?P<{field}>[^_]+)", 1).replace(
            rf"\{{{field}\}}", rf"(?P={field})"
        )
    found = re.fullmatch(f"{escaped}{COPY}", unicodedata.normalize("NFC", name))
    return (found["last"], found["first"]) if found else None


# What browsers, systems and Canvas add to a name that they have already: "-1", " (1)", "-Copy1", "_copy".
COPY = r"(?:-\d{1,3}| ?\(\d{1,3}\)|[-_ ]?[Cc]opy ?\d*)*"


def notebook_names(sheet: Sheet, stem: str) -> dict[str, str]:
    """The file name of each notebook of the assignment in a hand-in, by notebook."""
    if len(sheet.notebooks) == 1:
        return {sheet.notebooks[0]: f"{stem}.ipynb"}
    return {name: f"{stem}_{name}.ipynb" for name in sheet.notebooks}


def hand_in_name(sheet: Sheet, name: str) -> str | None:
    """The hand-in's name that a notebook's file name (without suffix) follows, or None."""
    if len(sheet.notebooks) > 1:
        if not name.endswith(f"_{sheet.notebook}"):
            return None
        name = name.removesuffix(f"_{sheet.notebook}")
    return name if people(sheet.stem, name) else None


def is_reserved(name: str) -> bool:
    """Whether Windows keeps a file name for a device."""
    return bool(_RESERVED.match(name))
