"""Paths that others wrote, in ZIPs and folders: which can be taken, which are junk, how they are shown."""

from __future__ import annotations

import re
import unicodedata

from dlcourse.handin.names import is_reserved

MAX_PATH = 200  # characters
_JUNK = re.compile(r"(?:^|/)(?:__MACOSX|__pycache__|\.[^/]*|Thumbs\.db|desktop\.ini)(?:/|$)", re.IGNORECASE)
_ILLEGAL = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')
_JOINERS = "\u200c\u200d"


def path_problem(name: str) -> str | None:
    """Why a path in a ZIP cannot be taken, or None."""
    parts = name.split("/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "an absolute path"
    if "\\" in name:
        return "a path with backslashes"
    if ".." in parts:
        return "a path that leads out of its folder"
    if _ILLEGAL.search(name) or any(map(_unseen, name)):
        return "its name holds characters that not every system allows"
    if len(name) > MAX_PATH or any(len(part.encode()) > 255 for part in parts):
        return "its name is too long"
    if any(part != part.rstrip(". ") or not part for part in parts):
        return "a name that ends in a dot or a blank, or is empty"
    if any(is_reserved(part) for part in parts):
        return "a name that Windows keeps for a device"
    return None


def is_junk(name: str) -> bool:
    """Whether a path is what systems and editors leave behind: hidden, __MACOSX, __pycache__."""
    return bool(_JUNK.search(name))


def shown(name: str) -> str:
    """A name for a screen: no control characters, no change of direction, not endless."""
    text = "".join(c if c.isprintable() else "�" for c in name)
    return text if len(text) <= 120 else f"{text[:80]}…{text[-30:]}"


def _unseen(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in _JOINERS
