"""Outlines of characters, as the fonts that ship with matplotlib hold them: no rasteriser's hints or roundings."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont

logging.getLogger("fontTools").setLevel(logging.ERROR)  # it warns of the dates in old fonts

_PIECES = 8  # straight lines that stand for one curve


def outlined(font: str, characters: str) -> list[list[np.ndarray]]:
    """For each character its closed outlines: corners (x, y) in the font's units, y upwards, each of shape (n, 2)."""
    import matplotlib as mpl

    with TTFont(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf", lazy=True) as file:
        names, glyphs = file.getBestCmap(), file.getGlyphSet()
        found = []
        for character in characters:
            pen = _Pen(glyphs)
            glyphs[names[ord(character)]].draw(pen)
            found.append([np.array(outline, float) for outline in pen.outlines])
    return found


class _Pen(BasePen):
    """Follows the outlines of one character and writes down their corners."""

    def __init__(self, glyphs: object) -> None:
        super().__init__(glyphs)
        self.outlines: list[list[tuple[float, float]]] = []

    def _moveTo(self, point: tuple[float, float]) -> None:
        self.outlines.append([point])

    def _lineTo(self, point: tuple[float, float]) -> None:
        self.outlines[-1].append(point)

    def _qCurveToOne(self, bend: tuple[float, float], end: tuple[float, float]) -> None:
        start = self.outlines[-1][-1]
        for piece in range(1, _PIECES + 1):
            t, s = piece / _PIECES, 1 - piece / _PIECES
            x, y = (s * s * a + 2 * s * t * b + t * t * c for a, b, c in zip(start, bend, end, strict=True))
            self.outlines[-1].append((x, y))
