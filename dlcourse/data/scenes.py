"""Pictures made on the spot, whose objects have known places: for measuring whether an explanation points at them.

Eight classes come in four pairs. The two classes of a pair share their lower part (a hull, a wall, a pot, a stalk) and
differ in the upper one alone. Colours are drawn at random, so that shape decides. The ground behind fits the pair in
most pictures: it correlates with the class and does not decide it. Stones, rings and sticks belong to no class.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

SIZE = 224  # pixels, width and height
CLASSES = ("sailboat", "steamer", "cottage", "observatory", "oak", "fir", "daisy", "tulip")
GROUNDS = ("water", "town", "wood", "meadow")  # one for each pair of classes
FITTING = 0.6  # share of the pictures whose ground is chosen to fit the main object
SMALLEST, LARGEST = 72, 112  # pixels, side of the square that an object is drawn in; two always fit

Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Object:
    """One object of a scene.

    Attributes:
        label: index in ``CLASSES``.
        mask: where it is visible, boolean, shape (SIZE, SIZE).
        upper: the part of the mask that tells it from its twin.
    """

    label: int
    mask: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class Scene:
    """A picture and what is known about it.

    Attributes:
        image: RGB, SIZE × SIZE.
        objects: the largest first; no two of one class.
        ground: index in ``GROUNDS``.
    """

    image: Image.Image
    objects: tuple[Object, ...]
    ground: int

    def mask(self, label: int) -> np.ndarray:
        """Where objects of this class are: boolean, shape (SIZE, SIZE); all False where there are none."""
        masks = [one.mask for one in self.objects if one.label == label]
        return np.any(masks, axis=0) if masks else np.zeros((SIZE, SIZE), bool)

    def shares(self) -> np.ndarray:
        """What a network is trained to answer: each class's share of the object pixels, shape (8,)."""
        pixels = np.array([self.mask(label).sum() for label in range(len(CLASSES))], float)
        return pixels / pixels.sum()


def twin(label: int) -> int:
    """The class that shares its lower part with this one."""
    return label ^ 1


def scenes(number: int, seed: int = 0, labels: tuple[int, ...] | None = None) -> list[Scene]:
    """Make ``number`` scenes; the same seed gives the same ones, whatever their number.

    Args:
        labels: the classes that every scene shall hold, the largest object first; by default one or two at random.
    """
    return [scene(np.random.default_rng((seed, index)), labels) for index in range(number)]


def scene(rng: np.random.Generator, labels: tuple[int, ...] | None = None) -> Scene:
    """Make one scene. Objects keep apart from one another; stones and sticks may cover a corner of the ground only."""
    if labels is None:
        labels = tuple(int(label) for label in rng.permutation(len(CLASSES))[: rng.integers(1, 3)])
    sides = np.sort(rng.integers(SMALLEST, LARGEST + 1, len(labels)))[::-1]
    ground = labels[0] // 2 if rng.random() < FITTING else int(rng.integers(len(GROUNDS)))
    canvas = _ground(rng, ground)
    corners = _places(rng, sides)
    _clutter(rng, canvas, corners, sides)
    objects = []
    for label, side, (x, y) in zip(labels, sides, corners, strict=True):
        mask, upper = _paste(rng, canvas, label, int(side), x, y)
        objects.append(Object(label, mask, upper))
    noise = rng.normal(0, 4, (SIZE, SIZE, 1))
    pixels = np.clip(np.asarray(canvas, float) + noise, 0, 255).astype(np.uint8)
    return Scene(Image.fromarray(pixels), tuple(objects), ground)


def _places(rng: np.random.Generator, sides: np.ndarray) -> list[tuple[int, int]]:
    """Upper left corners of squares that do not overlap, drawn until they fit."""
    while True:
        corners = [(int(rng.integers(SIZE - side + 1)), int(rng.integers(SIZE - side + 1))) for side in sides]
        squares = list(zip(corners, sides, strict=True))
        if all(_apart(a, b) for n, a in enumerate(squares) for b in squares[:n]):
            return corners


def _apart(a: tuple[tuple[int, int], int], b: tuple[tuple[int, int], int]) -> bool:
    (ax, ay), (bx, by) = a[0], b[0]
    return ax + a[1] <= bx or bx + b[1] <= ax or ay + a[1] <= by or by + b[1] <= ay


def _colour(rng: np.random.Generator, hue: float | None = None, low: float = 0.3, high: float = 0.95) -> Colour:
    hue = float(rng.random()) if hue is None else hue + float(rng.normal(0, 0.03))
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, float(rng.uniform(0.25, 0.9)), float(rng.uniform(low, high)))
    return int(255 * red), int(255 * green), int(255 * blue)


def _ground(rng: np.random.Generator, kind: int) -> Image.Image:
    """A textured ground: waves, bricks, trunks or grass in the colour that goes with it, roughly."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(float)
    step, shift = float(rng.uniform(14, 26)), float(rng.uniform(0, 100))
    if kind == 0:
        pattern = np.sin(2 * np.pi * (y + 4 * np.sin(x / 17 + shift)) / step)
    elif kind == 1:
        row = np.floor(y / step)
        pattern = np.where(((y + shift) % step < 3) | ((x + shift + row % 2 * step) % (2 * step) < 3), 1.0, -0.3)
    elif kind == 2:
        pattern = np.sin(2 * np.pi * (x + 3 * np.sin(y / 29 + shift)) / step)
    else:
        coarse = rng.normal(0, 1, (SIZE // 4, SIZE // 4)).astype(np.float32)
        pattern = np.clip(np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE))), -2, 2) / 2
    hue = (0.56, 0.06, 0.38, 0.27)[kind]
    dark = np.array(_colour(rng, hue, 0.3, 0.7), float)
    light = dark + rng.uniform(25, 60)
    mixed = dark + (0.5 + 0.5 * pattern[:, :, None]) * (light - dark)
    mixed += 30 * (y[:, :, None] / SIZE - 0.5) * rng.choice([-1, 1])
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def _clutter(rng: np.random.Generator, canvas: Image.Image, corners: list[tuple[int, int]], sides: np.ndarray) -> None:
    """Things of no class: stones, rings and sticks. What would touch an object lies under it."""
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(3, 8)):
        x, y, size = (float(v) for v in (*rng.uniform(0, SIZE, 2), rng.uniform(10, 32)))
        box = (x, y, x + size, y + size * float(rng.uniform(0.5, 1)))
        kind = rng.integers(3)
        if kind == 0:
            draw.ellipse(box, fill=_colour(rng))
        elif kind == 1:
            draw.ellipse(box, outline=_colour(rng), width=4)
        else:
            draw.line(box, fill=_colour(rng), width=5)


def _paste(
    rng: np.random.Generator, canvas: Image.Image, label: int, side: int, x: int, y: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw an object at twice its size, turn it a little, and lay it on the canvas; return its masks."""
    big = 2 * side
    image, whole, upper = Image.new("RGB", (big, big)), Image.new("L", (big, big)), Image.new("L", (big, big))
    painter = _Painter(rng, (image, whole, upper), big)
    _LOWER[label // 2](painter)
    painter.is_upper = True
    _UPPER[label](painter)
    angle = float(rng.uniform(-12, 12))
    layers = [
        layer.rotate(angle, resample=Image.Resampling.BILINEAR).resize((side, side), Image.Resampling.BOX)
        for layer in (image, whole, upper)
    ]
    canvas.paste(layers[0], (x, y), layers[1])
    masks = np.zeros((2, SIZE, SIZE), bool)
    for mask, layer in zip(masks, layers[1:], strict=True):
        mask[y : y + side, x : x + side] = np.asarray(layer) > 127
    return masks[0], masks[1]


class _Painter:
    """Draws shapes given in the unit square (x to the right, y down) on picture and masks at once."""

    def __init__(self, rng: np.random.Generator, layers: tuple[Image.Image, ...], big: int) -> None:
        self.rng, self.big, self.is_upper = rng, big, False
        self.draws = [ImageDraw.Draw(layer) for layer in layers]

    def _fills(self, colour: Colour) -> list[tuple[ImageDraw.ImageDraw, Colour | int]]:
        return list(zip(self.draws, (colour, 255, 255 if self.is_upper else 0), strict=True))

    def polygon(self, *points: Point, colour: Colour | None = None) -> None:
        scaled = [(0.08 * self.big + 0.84 * self.big * x, 0.08 * self.big + 0.84 * self.big * y) for x, y in points]
        for draw, fill in self._fills(colour or _colour(self.rng)):
            draw.polygon(scaled, fill=fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour | None = None) -> None:
        self.polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1), colour=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour | None = None) -> None:
        angles = np.linspace(0, 2 * np.pi, 40)
        self.polygon(*zip(x + radius * np.cos(angles), y + radius * np.sin(angles), strict=True), colour=colour)


def _hull(p: _Painter) -> None:
    p.polygon((0.02, 0.62), (0.98, 0.62), (0.8, 0.98), (0.2, 0.98))
    p.polygon((0.06, 0.7), (0.94, 0.7), (0.9, 0.78), (0.1, 0.78))


def _wall(p: _Painter) -> None:
    p.box(0.12, 0.5, 0.88, 1.0)
    p.box(0.44, 0.66, 0.6, 1.0)
    p.box(0.2, 0.62, 0.34, 0.78)
    p.box(0.68, 0.62, 0.82, 0.78)


def _pot(p: _Painter) -> None:
    p.box(0.45, 0.5, 0.55, 0.7)
    p.polygon((0.2, 0.66), (0.8, 0.66), (0.68, 1.0), (0.32, 1.0))
    p.box(0.16, 0.62, 0.84, 0.72)


def _stalk(p: _Painter) -> None:
    green = _colour(p.rng)
    p.box(0.46, 0.4, 0.54, 1.0, green)
    p.polygon((0.5, 0.95), (0.05, 0.6), (0.18, 0.92), colour=green)
    p.polygon((0.5, 0.95), (0.95, 0.6), (0.82, 0.92), colour=green)


def _sails(p: _Painter) -> None:
    p.box(0.47, 0.0, 0.52, 0.62)
    p.polygon((0.54, 0.02), (0.54, 0.58), (0.96, 0.58))
    p.polygon((0.45, 0.1), (0.45, 0.58), (0.1, 0.58))


def _funnels(p: _Painter) -> None:
    p.box(0.15, 0.42, 0.85, 0.62)
    colour = _colour(p.rng)
    for x in (0.22, 0.44, 0.66):
        p.box(x, 0.05, x + 0.14, 0.42, colour)


def _gable(p: _Painter) -> None:
    p.polygon((0.0, 0.5), (0.5, 0.0), (1.0, 0.5))
    p.polygon((0.4, 0.36), (0.5, 0.24), (0.6, 0.36))


def _dome(p: _Painter) -> None:
    angles = np.linspace(np.pi, 2 * np.pi, 30)
    p.polygon(*zip(0.5 + 0.44 * np.cos(angles), 0.5 + 0.44 * np.sin(angles), strict=True))
    p.polygon((0.46, 0.5), (0.56, 0.06), (0.72, 0.12), (0.62, 0.5))


def _crown(p: _Painter) -> None:
    colour = _colour(p.rng)
    for x, y, radius in ((0.28, 0.34, 0.2), (0.72, 0.34, 0.2), (0.5, 0.2, 0.2), (0.5, 0.4, 0.2)):
        p.disc(x, y, radius, colour)
    for x, y in ((0.3, 0.3), (0.55, 0.15), (0.7, 0.38)):
        p.disc(x, y, 0.05)


def _tiers(p: _Painter) -> None:
    colour = _colour(p.rng)
    for top, bottom, half in ((0.0, 0.24, 0.2), (0.14, 0.42, 0.3), (0.3, 0.62, 0.4)):
        p.polygon((0.5, top), (0.5 - half, bottom), (0.5 + half, bottom), colour=colour)


def _petals(p: _Painter) -> None:
    colour = _colour(p.rng)
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        p.disc(0.5 + 0.24 * np.cos(angle), 0.28 + 0.24 * np.sin(angle), 0.1, colour)
    p.disc(0.5, 0.28, 0.13)


def _cup(p: _Painter) -> None:
    points = [(0.2, 0.02), (0.36, 0.2), (0.5, 0.0), (0.64, 0.2), (0.8, 0.02), (0.78, 0.36), (0.6, 0.52), (0.4, 0.52)]
    p.polygon(*points, (0.22, 0.36))


_LOWER: tuple[Callable[[_Painter], None], ...] = (_hull, _wall, _pot, _stalk)
_UPPER: tuple[Callable[[_Painter], None], ...] = (_sails, _funnels, _gable, _dome, _crown, _tiers, _petals, _cup)
