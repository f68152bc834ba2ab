"""Pictures of the notebooks: labelled axes, one colour scheme that colour-blind readers can tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

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
