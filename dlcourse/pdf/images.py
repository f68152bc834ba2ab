"""Pictures into the private folder: checked, bounded, and only from the notebook or the folder it lies in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_BYTES = 20 * 2**20
_MAX_PIXELS = 60_000_000
_MAX_SIDE = 2400  # pixels: beyond print resolution at the width of the page
_EMBEDDABLE = {"PNG": "png", "JPEG": "jpg"}
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
_ORIENTATION = 0x0112  # of EXIF
_SVG_LINK = re.compile(rb"""(?:xlink:)?href\s*=\s*(?:"(?!#|data:)[^"]*"|'(?!#|data:)[^']*')""", re.IGNORECASE)
_SVG_SIZE = re.compile(rb"""\s(width|height)\s*=\s*["']\s*([\d.]+)\s*(pt|px|)\s*["']""")
_SVG_BOX = re.compile(rb"""\sviewBox\s*=\s*["']\s*[-\d.]+[\s,]+[-\d.]+[\s,]+([\d.]+)[\s,]+([\d.]+)""")


class ImageError(Exception):
    """A picture that cannot be shown; the message says why."""


@dataclass(frozen=True)
class Picture:
    """A picture in the compiler's folder: file name there, natural width and height in points, frames it has."""

    name: str
    width: float
    height: float
    frames: int = 1


def _svg_size(data: bytes) -> tuple[float, float]:
    """Width and height in points, from the attributes of the root element."""
    start = re.search(rb"<svg\b[^>]*>", data)
    if start is None:
        raise ImageError("no SVG element")
    root = start.group()
    found = {m[1]: float(m[2]) * (1.0 if m[3] == b"pt" else 0.75) for m in _SVG_SIZE.finditer(root)}
    if b"width" in found and b"height" in found:
        return found[b"width"], found[b"height"]
    if box := _SVG_BOX.search(root):
        return float(box[1]) * 0.75, float(box[2]) * 0.75
    return 300.0, 225.0


class ImageStore:
    """Puts pictures where the compiler finds them.

    Args:
        root: the compiler's folder.
        folder: the notebook's folder, whose files Markdown may show; None if there is none.
        check: Typst's message on a source, or None; asked for each SVG, which Pillow cannot check.
    """

    def __init__(self, root: Path, folder: Path | None, check: Callable[[str], str | None]) -> None:
        self.root = root
        self.folder = folder.resolve() if folder is not None else None
        self._check = check
        self._stored: dict[str, Picture] = {}  # by digest: a picture may be shown twice

    def add(self, data: bytes) -> Picture:
        """Store PNG, JPEG, GIF, WebP (as PNG) or SVG bytes.

        Raises:
            ImageError: for what is too large, corrupt or of no known kind.
        """
        if len(data) > _MAX_BYTES:
            raise ImageError(f"larger than {_MAX_BYTES // 2**20} MiB")
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._stored:
            self._stored[digest] = self._store(data)
        return self._stored[digest]

    def _store(self, data: bytes) -> Picture:
        if b"<svg" in data[:4096]:
            return self._add_svg(data)
        try:
            from PIL import Image as Images  # only notebooks with pictures pay for it

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Images.open(io.BytesIO(data)) as image:
                    return self._add_raster(image, data)
        except ImageError:
            raise
        except Exception as error:  # a decoder fed with hostile bytes may raise anything
            raise ImageError("not a readable picture") from error

    def _add_raster(self, image: Image, data: bytes) -> Picture:
        width, height = image.size
        if width * height > _MAX_PIXELS:
            raise ImageError(f"more than {_MAX_PIXELS // 1_000_000} million pixels")
        frames = min(getattr(image, "n_frames", 1), 10_000)
        suffix = _EMBEDDABLE.get(image.format or "")
        turned = suffix == "jpg" and image.getexif().get(_ORIENTATION, 1) != 1  # phones write how they were held
        fits = not turned and max(width, height) <= _MAX_SIDE and image.mode in _MODES
        if suffix == "png" and fits:
            image.verify()  # its checksums; the typesetter decodes it anyway
        elif suffix and fits:
            image.load()
        else:
            from PIL import ImageOps

            image.draft("RGB", (_MAX_SIDE, _MAX_SIDE))  # a large JPEG need not be decoded whole
            image.seek(0)
            opaque = suffix == "jpg" and image.mode != "CMYK"
            smaller = ImageOps.exif_transpose(image).convert("RGB" if opaque else "RGBA")
            if turned and (smaller.width > smaller.height) != (width > height):
                width, height = height, width
            smaller.thumbnail((_MAX_SIDE, _MAX_SIDE))
            buffer = io.BytesIO()
            smaller.save(buffer, "JPEG" if opaque else "PNG", quality=88)
            data, suffix = buffer.getvalue(), "jpg" if opaque else "png"
        return Picture(self._write(data, suffix), width * 0.75, height * 0.75, frames)

    def _add_svg(self, data: bytes) -> Picture:
        if b"<!ENTITY" in data:
            raise ImageError("an SVG with entities")
        data = _SVG_LINK.sub(b"", data)
        width, height = _svg_size(data)
        picture = Picture(self._write(data, "svg"), max(width, 1.0), max(height, 1.0))
        if (problem := self._check(f'#image("{picture.name}")')) is not None:
            raise ImageError(f"not a readable SVG ({problem[:80]})")
        return picture

    def _write(self, data: bytes, suffix: str) -> str:
        name = f"{hashlib.sha256(data).hexdigest()[:20]}.{suffix}"
        (self.root / name).write_bytes(data)
        return name

    def from_mime(self, kind: str, value: object) -> Picture:
        """Store one entry of a MIME bundle: `kind` such as "image/png", `value` as the notebook holds it."""
        text = "".join(value) if isinstance(value, list) else value
        if not isinstance(text, str):
            raise ImageError("not text in the notebook")
        if kind == "image/svg+xml" and "<svg" in text:
            return self.add(text.encode("utf-8", "replace"))
        try:
            return self.add(base64.b64decode(re.sub(r"\s", "", text), validate=True))
        except binascii.Error as error:
            raise ImageError("not valid base64") from error

    def from_url(self, url: str, attachments: Mapping[str, Any]) -> Picture:
        """Store what a Markdown image points at: an attachment, a data URL or a file beside the notebook.

        Raises:
            ImageError: for anything else, without touching the network.
        """
        if url.startswith("attachment:"):
            name = url.removeprefix("attachment:")
            bundle = attachments.get(name) or attachments.get(unquote(name)) or {}
            if isinstance(bundle, Mapping) and bundle:
                return self.from_mime(*next(iter(bundle.items())))
            raise ImageError("no such attachment")
        if url.startswith("data:"):
            head, _, body = url.partition(",")
            return self.from_mime("", body) if head.endswith(";base64") else self.add(unquote_to_bytes(body))
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//", url):
            raise ImageError("not part of the notebook")
        return self._from_file(unquote(url.partition("?")[0].partition("#")[0]))

    def _from_file(self, name: str) -> Picture:
        if self.folder is None:
            raise ImageError("the notebook has no folder")
        if "\0" in name or len(name) > 1_000:
            raise ImageError("no such file")
        path = (self.folder / name).resolve()  # links followed: a link that leads outside is outside
        if not path.is_relative_to(self.folder):
            raise ImageError("outside the notebook's folder")
        if not path.is_file():
            raise ImageError("no such file")
        if path.stat().st_size > _MAX_BYTES:
            raise ImageError(f"larger than {_MAX_BYTES // 2**20} MiB")
        return self.add(path.read_bytes())
