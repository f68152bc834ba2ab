"""Letters and digits in the form of NIST36: printed ones, bent, sheared and blotted until they look written.

What follows the outlines is done in whole numbers, with random ones whose stream is fixed for good (``RandomState``):
the pictures are the same on every machine.
"""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from dlcourse.data.outlines import outlined

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"  # in the order of the labels
SIZE = 32  # pixels, width and height
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Oblique",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "cmb10",
    "cmr10",
    "cmss10",
    "cmtt10",
)
PENS = (1, 3, 5)  # pixels of a glyph that a pen adds to every stroke, counting the one that was there
_GLYPH = 64  # pixels, width and height of a glyph before it is bent
_CAPITAL = 40  # pixels of it, height of a character
_WIDEST = 46
_UNIT = 32  # places within a glyph are counted in 1/32 pixels
_STEP = 8  # pixels between the control points of a bend
_AT_ONCE = 512  # pictures, so that what is worked on stays in the processor's cache


def letters(labels: np.ndarray, seed: int) -> np.ndarray:
    """Draw one character for each label, an index in ``LETTERS``: uint8, white on black, shape (N, 32, 32)."""
    rng = np.random.RandomState(seed)
    number = len(labels)
    font, pen = (rng.randint(0, len(kinds), number, np.int64) for kinds in (FONTS, PENS))
    points = control_points(rng, number)
    parts = [slice(start, start + _AT_ONCE) for start in range(0, number, _AT_ONCE)]
    bent = [written(labels[part], font[part], pen[part], points[:, part]) for part in parts]
    return _blotted(rng, np.concatenate(bent))


@functools.cache
def glyphs() -> np.ndarray:
    """All characters by all pens in all fonts, in the middle of a square: uint8, (fonts · pens · 36, 64, 64)."""
    drawn: list[np.ndarray] = []
    for font in FONTS:
        plain = [_drawn(outlines) for outlines in outlined(font, LETTERS)]
        for pen in PENS:
            drawn += [np.asarray(image.filter(ImageFilter.MaxFilter(pen))) for image in plain]
    fine = np.pad(np.stack(drawn), ((0, 0), (0, 1), (0, 1))).astype(np.uint16)
    return ((fine[:, 1:, 1:] + fine[:, 1:, :-1] + fine[:, :-1, 1:] + fine[:, :-1, :-1]) >> 2).astype(np.uint8)


def _drawn(outlines: list[np.ndarray]) -> Image.Image:
    points = np.concatenate(outlines)
    low, high = points.min(0), points.max(0)
    scale = min(_CAPITAL / (high[1] - low[1]), _WIDEST / (high[0] - low[0]))
    image = Image.new("L", (_GLYPH, _GLYPH))
    draw = ImageDraw.Draw(image)
    areas = [_area(outline) for outline in outlines]
    outer = max(areas, key=abs) > 0
    for area, outline in sorted(zip(areas, outlines, strict=True), key=lambda pair: -abs(pair[0])):
        placed = np.rint((outline - (low + high) / 2) * (scale, -scale) + _GLYPH / 2).astype(int)
        draw.polygon([(int(x), int(y)) for x, y in placed], fill=255 if (area > 0) == outer else 0)
    return image


def _area(outline: np.ndarray) -> float:
    """Signed by the way round, which tells holes from what they are in."""
    (x, y), (after_x, after_y) = outline.T, np.roll(outline, -1, 0).T
    return float((x * after_y - after_x * y).sum())


def control_points(rng: np.random.RandomState, number: int, wild: float = 1.0, slant: float = 0.0) -> np.ndarray:
    """Where in its glyph each control point of a picture lies, in 1/32 pixels: down and across, (2, N, 7, 7).

    Args:
        wild: how much characters differ from one another, 1 for those of the data set.
        slant: how much all of them lean to the right, pixels across for each pixel up.
    """

    def draw(low: float, high: float) -> np.ndarray:
        return (low + high) / 2 + wild * (high - low) * (rng.random_sample((number, 1, 1)) - 0.5)

    places = _STEP * np.arange(-3.0, 4.0)  # pixels of the picture from its middle
    down, across = places[:, None] - draw(-2.0, 2.0), places[None, :] - draw(-2.0, 2.0)
    half = draw(-0.13, 0.13)  # the tangent of half the angle
    cosine, sine = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
    down, across = cosine * down - sine * across, sine * down + cosine * across
    high, wide, shear = draw(1.4, 2.1), draw(1.5, 2.3), slant * 1.9 + draw(-0.6, 0.6)
    down, across = high * down, wide * across + shear * down
    jitter = rng.random_sample((2, number, 7, 7)) + rng.random_sample((2, number, 7, 7)) - 1
    strength = wild * draw(0.0, 9.0)
    return np.rint(_UNIT * (np.stack([down, across]) + strength * jitter + _GLYPH / 2 - 0.5))


def splines(points: int, step: int) -> np.ndarray:
    """How much each control point counts at each pixel of a line, ``step`` pixels from one to the next.

    Cubic B-splines in whole numbers, each row with the same sum; shape ((points - 3) · step, points).
    """
    one = 2 * step
    weights = np.zeros(((points - 3) * step, points))
    for pixel, row in enumerate(weights):
        t = 2 * (pixel % step) + 1  # of ``one``
        s = one - t
        middle = [3 * t**3 - 6 * one * t**2 + 4 * one**3, 3 * s**3 - 6 * one * s**2 + 4 * one**3]
        row[pixel // step : pixel // step + 4] = [s**3, *middle, t**3]
    return weights


def written(labels: np.ndarray, fonts: np.ndarray, pens: np.ndarray, points: np.ndarray, finer: int = 1) -> np.ndarray:
    """Read each glyph where a smooth map through its control points (2, N, 7, 7) leads.

    Returns:
        uint8, white on black, shape (N, 32 · finer, 32 · finer).
    """
    glyph = (fonts * len(PENS) + pens) * len(LETTERS) + labels
    weights = splines(7, _STEP * finer)
    places = weights @ points @ weights.T  # whole numbers below 2**53, hence exact in float64
    places = np.rint(places / weights[0].sum() ** 2).astype(np.int32)
    np.clip(places, 0, _UNIT * (_GLYPH - 1) - 1, out=places)
    (y, x), (below, right) = places // _UNIT, places % _UNIT
    flat, corner = glyphs().reshape(-1), (glyph[:, None, None] * _GLYPH + y) * _GLYPH + x
    upper = (_UNIT - right) * flat[corner] + right * flat[corner + 1]
    lower = (_UNIT - right) * flat[corner + _GLYPH] + right * flat[corner + _GLYPH + 1]
    return (((_UNIT - below) * upper + below * lower) // _UNIT**2).astype(np.uint8)


def _blotted(rng: np.random.RandomState, images: np.ndarray) -> np.ndarray:
    """Paler ink, and a grain of the paper in some pictures."""
    number = len(images)
    gain, amount = rng.randint(160, 257, (number, 1, 1), np.int64), rng.randint(-3, 8, (number, 1, 1), np.int64)
    noise = rng.randint(-8, 9, images.shape, dtype=np.int8).astype(np.int16) * np.maximum(amount, 0).astype(np.int16)
    return np.clip((images * gain >> 8) + noise, 0, 255).astype(np.uint8)
