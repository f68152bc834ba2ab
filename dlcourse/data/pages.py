"""Pages of handwriting whose text and boxes are known: one hand, ink and sheet of uneven paper for each page.

Letters are in one piece each and do not touch. As in ``letters``, all is done in whole numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlcourse.data.letters import FONTS, LETTERS, SIZE, control_points, splines, written
from dlcourse.errors import CourseError

TEXTS = {
    "list": ("THINGS TO DO TODAY", "1 READ PAGES 27 TO 35", "2 WRITE THE LOSS", "3 CHECK 64 GRADIENTS", "4 SLEEP"),
    "letters": ("ABCDEFG", "HIJKLMN", "OPQRSTU", "VWXYZ", "1234567890"),
    "haiku": ("THE LOSS GOES DOWNHILL", "STEP BY STEP THROUGH MORNING FOG", "A SMALL VALLEY WAITS"),
    "deep": ("ONE LAYER SEES EDGES", "TWO LAYERS SEE SHAPES", "TEN LAYERS SEE CATS"),
}

_HANDS = ("DejaVuSans", "DejaVuSans-Oblique", "cmss10")  # plain strokes
_FINER = 2  # a letter on a page has this many times the pixels of one in the data set
_LINE = 84  # pixels from one line to the next
_SPACE = 34  # pixels between words
_INKS = ((28, 30, 44), (24, 38, 104), (70, 30, 26), (20, 62, 52))  # black, blue, brown, green
_PAPERS = ((246, 242, 230), (240, 240, 238), (250, 244, 218), (236, 242, 246))


@dataclass(frozen=True)
class Page:
    """A page and what is written on it.

    Attributes:
        name: of the page.
        image: RGB, float64 from 0 to 1, dark ink on light paper, shape (height, width, 3).
        lines: what is written, line by line, with single spaces between words.
        boxes: for each character, in reading order and without the spaces, where its ink is: [y1, x1, y2, x2] in
            pixels from the upper left corner, y2 and x2 just beyond the ink; int64, shape (N, 4).
    """

    name: str
    image: np.ndarray
    lines: tuple[str, ...]
    boxes: np.ndarray

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def text_images(seed: int = 0) -> list[Page]:
    """Write the four pages list, letters, haiku and deep; another seed gives other hands, inks and papers."""
    return [text_image(lines, seed, name) for name, lines in TEXTS.items()]


def text_image(lines: Sequence[str], seed: int = 0, name: str = "page") -> Page:
    """Write one page.

    Args:
        lines: the text, of capital letters, digits and single spaces.
        seed: of the hand, the ink and the paper.

    Raises:
        CourseError: a line is empty, or a character cannot be written.
    """
    for line in lines:
        wrong = sorted(set(line) - set(LETTERS) - {" "})
        if wrong or not line or line != " ".join(line.split()):
            reason = f"it holds {wrong[0]!r}" if wrong else "it is empty or has spaces too many"
            raise CourseError(f"The line {line!r} cannot be written: {reason}. Take A to Z, 0 to 9 and single spaces.")
    if not lines:
        raise CourseError("A page needs at least one line.")
    rng = np.random.RandomState(_seed(name, seed))
    ink, boxes = _set(rng, lines, _characters(rng, "".join(lines).replace(" ", "")))
    return Page(name, _printed(rng, ink) / 255, tuple(lines), boxes)


def _seed(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{name} {seed}".encode()).digest()[:4], "big")


def _characters(rng: np.random.RandomState, text: str) -> list[np.ndarray]:
    """The ink of each character, uint8, cut to what is more than half black."""
    labels = np.array([LETTERS.index(character) for character in text])
    font, slant = FONTS.index(_HANDS[rng.randint(len(_HANDS))]), 0.3 * rng.random_sample() - 0.1
    fonts, pens = np.full(len(labels), font), np.full(len(labels), rng.randint(2))
    points = control_points(rng, len(labels), wild=0.65, slant=slant)
    blurred = written(labels, fonts, pens, points, _FINER).astype(np.int64)
    return [_cut(np.clip(3 * cell - 255, 0, 255).astype(np.uint8)) for cell in blurred]


def _cut(cell: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero((cell > 127).any(axis)) for axis in (1, 0))
    return cell[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _set(
    rng: np.random.RandomState, lines: Sequence[str], characters: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Lay the characters out on a sheet that is large enough: its ink, uint8, and the boxes."""
    widest = max(map(len, lines)) * (SIZE * _FINER + 20)
    ink = np.zeros((_LINE * (len(lines) + 2), widest + 160), np.uint8)
    left, slope = int(rng.randint(50, 80)), rng.randint(-6, 7)  # of a line, in pixels for each 1,024
    boxes, waiting = [], iter(characters)
    for number, line in enumerate(lines):
        x, base = left + int(rng.randint(0, 24)), _LINE * (number + 2) - 20
        for character in line:
            if character == " ":
                x += _SPACE + int(rng.randint(0, 14))
                continue
            cell = next(waiting)
            height, width = cell.shape
            y = base - height + (x * slope >> 10) + int(rng.randint(-3, 4))
            ink[y : y + height, x : x + width] = cell
            boxes.append([y, x, y + height, x + width])
            x += width + int(rng.randint(6, 13))
    right = max(box[3] for box in boxes) + int(rng.randint(50, 80))
    return ink[:, :right], np.array(boxes, np.int64)


def _printed(rng: np.random.RandomState, ink: np.ndarray) -> np.ndarray:
    """Ink on paper in the light of a lamp: uint8, shape (height, width, 3)."""
    height, width = ink.shape
    paper, colour = np.array(_PAPERS[rng.randint(len(_PAPERS))]), np.array(_INKS[rng.randint(len(_INKS))])
    specks = rng.randint(0, 4000, ink.shape, np.int64)
    dirt = np.where(specks == 0, 200, 0)
    dirt[1:] |= np.where(specks == 1, 160, 0)[1:] | np.where(specks == 1, 160, 0)[:-1]
    flow = _clouds(rng, height, width, 190, 257)  # how much ink there is, in 1/256
    cover = np.maximum(ink * flow >> 8, dirt)[:, :, None]
    light = (_clouds(rng, height, width, 170, 257) + rng.randint(-5, 6, ink.shape, np.int64))[:, :, None]
    mixed = (paper * (255 - cover) + colour * cover) // 255
    return np.clip(mixed * light >> 8, 0, 255).astype(np.uint8)


def _clouds(rng: np.random.RandomState, height: int, width: int, low: int, high: int) -> np.ndarray:
    """A smooth field of whole numbers from ``low`` to ``high`` - 1."""
    step = 128
    rows, columns = -(-height // step) + 3, -(-width // step) + 3
    down, across = splines(rows, step)[:height], splines(columns, step)[:width]
    field = down @ rng.randint(low, high, (rows, columns), np.int64).astype(float) @ across.T
    return np.rint(field / (down[0].sum() * across[0].sum())).astype(np.int64)
