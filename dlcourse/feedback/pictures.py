"""Pictures of a notebook as data addresses: the only ones that a feedback page loads."""

from __future__ import annotations

import re
from typing import Any

MAX_PICTURE = 3 * 2**20  # characters of base64
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+\Z")


def picture_address(bundle: Any) -> str:
    """The first PNG or JPEG of a MIME bundle as a ``data:`` address; empty if it has none that is sound."""
    for kind in ("image/png", "image/jpeg"):
        content = bundle.get(kind) if isinstance(bundle, dict) else None
        if isinstance(content, str) and len(content) <= MAX_PICTURE and _BASE64.match(content):
            return f"data:{kind};base64,{''.join(content.split())}"
    return ""
