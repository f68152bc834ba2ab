"""Pictures of the notebooks: labelled axes, one colour scheme that colour-blind readers can tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

# Okabe and Ito's palette without its yellow, which is too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (7, 3)))


def curves(
    x: Any,
    lines: Mapping[str, Any],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: str = "",
    level: tuple[float, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw named curves over a common axis.

    Args:
        x: positions, shape (N,).
        lines: the values of each curve, shape (N,), by the name that the legend shows.
        xlabel, ylabel: what the axes show, with the unit.
        title: one line above the picture.
        log: the axes with a logarithmic scale: "", "x", "y" or "xy".
        level: height and name of a horizontal line to compare with.
        ax: where to draw; a new figure by default.
    """
    ax = ax if ax is not None else _new_axes(6.4, 3.6)
    for number, (name, y) in enumerate(lines.items()):
        ax.plot(
            x, y, label=name, color=COLOURS[number % len(COLOURS)], linestyle=LINES[number % len(LINES)], linewidth=1.8
        )
    if level is not None:
        ax.axhline(level[0], color="0.35", linewidth=1.2, linestyle=(0, (1, 2)), label=level[1])
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.grid(alpha=0.25)
    if len(lines) > 1 or level is not None:
        ax.legend(frameon=False)
    return ax


def heat_map(values: Any, *, xlabel: str, ylabel: str, colour: str, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw a matrix, shape (rows, columns), as colours symmetric about zero: red above, white at zero, blue below."""
    ax = ax if ax is not None else _new_axes(6.4, 3.4)
    values = np.asarray(values)
    limit = float(np.abs(values).max()) or 1.0
    image = ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label=colour)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return ax


def images(
    values: Any,
    *,
    columns: int,
    titles: Sequence[str] = (),
    rows: Sequence[str] = (),
    title: str = "",
    limits: tuple[float, float] | None = (0, 1),
    cmap: str = "gray",
    size: float = 0.85,
) -> Figure:
    """Draw small pictures in a grid, row by row.

    Args:
        values: shape (N, height, width), or (N, height, width, 3) for colours in [0, 1].
        columns: how many stand in one row.
        titles: written above the pictures, one for each or one for each column.
        rows: what each row shows, written to its left.
        title: one line above the grid.
        limits: values drawn black and white; None takes the smallest and the largest of all pictures.
        cmap: Matplotlib's name of the colours.
        size: width of one picture in inches.
    """
    values = np.asarray(values)
    low, high = limits if limits is not None else (values.min(), values.max())
    number = -(-len(values) // columns)
    height = size * values.shape[1] / values.shape[2] + (0.22 if len(titles) > columns else 0)
    extra = (0.3 if title else 0) + (0.25 if titles else 0)
    width = size * columns + (0.1 + 0.075 * max(map(len, rows)) if rows else 0)
    figure, axes = plt.subplots(
        number, columns, figsize=(width, height * number + extra), squeeze=False, layout="constrained"
    )
    for place, ax in enumerate(axes.flat):
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        if place < len(values):
            ax.imshow(values[place], cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        if place < len(titles):
            ax.set_title(titles[place], fontsize=9, pad=3)
    for ax, name in zip(axes[:, 0], rows, strict=False):
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def embedding(
    codes: Any, labels: Any, *, xlabel: str = "code 0", ylabel: str = "code 1", title: str = "", ax: Axes | None = None
) -> Axes:
    """Draw the first two coordinates of codes, shape (N, d), as points, each with the colour of its label 0 … 9."""
    ax = ax if ax is not None else _new_axes(5.6, 4.4)
    codes = np.asarray(codes)
    points = ax.scatter(codes[:, 0], codes[:, 1], c=np.asarray(labels), cmap="tab10", vmin=-0.5, vmax=9.5, s=9)
    ax.figure.colorbar(points, ax=ax, ticks=range(10), label="class")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return ax


def confusion_matrix(matrix: Any, names: Sequence[str], *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw counts, shape (C, C): rows are the true classes, columns the predicted ones.

    The colours show what was confused: the diagonal is left pale. Up to 12 classes, the counts are written in.
    """
    matrix = np.asarray(matrix)
    side = 1.6 + 0.42 * len(names) if len(names) <= 12 else 7.2
    ax = ax if ax is not None else _new_axes(side + 0.8, side)
    wrong = np.where(np.eye(len(names), dtype=bool), 0, matrix)
    image = ax.imshow(wrong, cmap="Oranges", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="confused images", shrink=0.8)
    if len(names) <= 12:
        for row, column in np.ndindex(*matrix.shape):
            colour = "white" if wrong[row, column] > 0.6 * wrong.max() else "black"
            text = f"{matrix[row, column]:g}"
            ax.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    ax.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 2 else 0)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="predicted", ylabel="true", title=title)
    return ax


def boxes(image: Any, found: Any, names: Sequence[str] = (), *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw boxes on a page.

    Args:
        image: shape (height, width), or (height, width, 3) for colours in [0, 1].
        found: ``[y1, x1, y2, x2]`` of each box in pixels, shape (N, 4).
        names: written above the boxes, one for each; none by default.
        title: one line above the page.
        ax: where to draw; a new figure by default.
    """
    image = np.asarray(image)
    ax = ax if ax is not None else _new_axes(6.4, 0.2 + 6.4 * image.shape[0] / image.shape[1])
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    for place, (y1, x1, y2, x2) in enumerate(np.asarray(found).reshape(-1, 4)):
        ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=COLOURS[1], linewidth=1.2))
        if place < len(names):
            ax.text((x1 + x2) / 2, y1 - 2, names[place], color=COLOURS[0], ha="center", va="bottom", fontsize=8)
    ax.axis("off")
    ax.set_title(title)
    return ax


def unrolled_network(steps: int = 4) -> Axes:
    """Draw a recurrent network unrolled over ``steps`` time steps, each arrow with the matrix that it applies."""
    ax = _new_axes(1.9 * steps + 1.2, 3.7)
    ax.set_aspect("equal")
    ax.axis("off")
    for t in range(steps):
        for height, text, colour in ((0, "x", COLOURS[2]), (1.4, "a", COLOURS[0]), (2.8, r"\hat{y}", COLOURS[1])):
            _node(ax, 1.9 * (t + 1), height, rf"${text}^{{\langle {t} \rangle}}$", colour)
        _arrow(ax, (1.9 * (t + 1), 0), (1.9 * (t + 1), 1.4), "$W_{ax}$", (0.3, -0.04))
        _arrow(ax, (1.9 * (t + 1), 1.4), (1.9 * (t + 1), 2.8), "$W_{ya}$", (0.3, -0.04))
        _arrow(ax, (1.9 * t, 1.4), (1.9 * (t + 1), 1.4), "$W_{aa}$", (0, 0.2))
    _node(ax, 0, 1.4, "$a_0$", "0.35")
    ax.set(xlim=(-0.6, 1.9 * steps + 0.7), ylim=(-0.55, 3.35))
    return ax


def _new_axes(width: float, height: float) -> Axes:
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _node(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    ax.add_patch(Circle((x, y), 0.42, facecolor="white", edgecolor=colour, linewidth=2, zorder=3))
    ax.text(x, y, text, ha="center", va="center", fontsize=13, zorder=4)


def _arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], text: str, offset: tuple[float, float]
) -> None:
    """An arrow between the rims of two nodes, with its matrix beside the middle."""
    (x0, y0), (x1, y1) = start, end
    length = float(np.hypot(x1 - x0, y1 - y0))
    ux, uy = 0.45 * (x1 - x0) / length, 0.45 * (y1 - y0) / length
    arrow = {"arrowstyle": "-|>", "color": "0.3", "linewidth": 1.3}
    ax.annotate("", xy=(x1 - ux, y1 - uy), xytext=(x0 + ux, y0 + uy), arrowprops=arrow)
    ax.text((x0 + x1) / 2 + offset[0], (y0 + y1) / 2 + offset[1], text, ha="center", va="center", fontsize=11)
