"""What garments are drawn with: polygons and lines on a picture of 28 × 28 pixels, none quite like the last."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw

SIZE = 28  # pixels, width and height
FINE = 3  # drawn this many times larger, then averaged

Point = tuple[float, float]


class Tailor:
    """Draws on one picture; x runs from -0.5 to 0.5, y from 0 at the top to 1, greys from 0 to 1 relative to the cloth.

    Every point that is drawn moves a little, and all of them lean and shift together.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.image = Image.new("L", (FINE * SIZE, FINE * SIZE))
        self.draw = ImageDraw.Draw(self.image)
        self.cloth = rng.uniform(35, 120) if rng.random() < 0.25 else rng.uniform(120, 270)
        self.wide, self.high = rng.uniform(0.92, 1.08), rng.uniform(0.88, 1.02)
        self.lean, self.tilt = rng.uniform(-0.06, 0.06), rng.uniform(-0.05, 0.05)
        self.right, self.low = rng.uniform(-0.03, 0.03), rng.uniform(-0.04, 0.04)

    def between(self, low: float, high: float) -> float:
        return self.rng.uniform(low, high)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def _pixels(self, points: list[Point], jitter: float = 0.008) -> list[tuple[int, int]]:
        placed = []
        for x, y in points:
            x += self.between(-jitter, jitter)
            y += self.between(-jitter, jitter)
            right = 0.5 + self.right + self.wide * x + self.lean * (y - 0.5)
            down = 0.5 + self.low + self.high * (y - 0.5) + self.tilt * x
            placed.append((round(FINE * SIZE * right), round(FINE * SIZE * down)))
        return placed

    def _grey(self, grey: float) -> int:
        return min(255, round(self.cloth * grey))

    def polygon(self, *points: Point, grey: float = 1.0) -> None:
        self.draw.polygon(self._pixels(list(points)), fill=self._grey(grey))

    def mirrored(self, *points: Point, grey: float = 1.0) -> None:
        """An outline given by its left half, from the top down."""
        self.polygon(*points, *((-x, y) for x, y in reversed(points)), grey=grey)

    def line(self, *points: Point, grey: float, width: float = 0.03) -> None:
        self.draw.line(self._pixels(list(points), 0.003), self._grey(grey), round(FINE * SIZE * width), joint="curve")
