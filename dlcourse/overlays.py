"""Saliency maps laid over pictures, and grids of pictures, with matplotlib's colour maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image


def visualize_cam(mask: Any, img: Any, colours: str = "jet") -> tuple[np.ndarray, np.ndarray]:
    """Colour a saliency map and lay it over its picture: (heatmap + picture) / its maximum.

    Args:
        mask: saliency map in [0, 1], array or tensor of shape (H, W), (1, H, W) or (1, 1, H, W), resized bilinearly
            where its size is not the picture's.
        img: picture, PIL or array, shape (H, W, 3), values 0 … 255.
        colours: name of a matplotlib colour map; the default runs from blue for 0 over green to red for 1.

    Returns:
        heatmap: the coloured map, shape (H, W, 3), values in [0, 1].
        result: the overlay, shape (H, W, 3), values in [0, 1].
    """
    picture = np.asarray(img, dtype=float)[..., :3] / 255
    saliency = np.asarray(mask.detach().cpu() if hasattr(mask, "detach") else mask, dtype=np.float32)
    saliency = saliency.reshape(saliency.shape[-2:])
    if saliency.shape != picture.shape[:2]:
        size = (picture.shape[1], picture.shape[0])
        saliency = np.asarray(Image.fromarray(saliency).resize(size, Image.Resampling.BILINEAR))
    heatmap = colormaps[colours](np.clip(saliency, 0, 1))[..., :3]
    result = heatmap + picture
    return heatmap, result / result.max()


def vis_img_label(
    image_list: Sequence[Any], label_list: Sequence[str] | None = None, columns: int = 4, width: float = 2.2
) -> Figure:
    """Show pictures in a grid, each under its label.

    Args:
        image_list: PIL pictures or arrays, shape (H, W, 3).
        label_list: one title for each; none by default.
        columns: pictures beside each other.
        width: of a picture, in inches.
    """
    rows = -(-len(image_list) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(columns * width, rows * width * 1.08), layout="constrained")
    for ax in np.ravel(axes):
        ax.axis("off")
    for number, (ax, image) in enumerate(zip(np.ravel(axes), image_list, strict=False)):
        ax.imshow(image)
        ax.set_title(label_list[number] if label_list is not None else "", fontsize=9)
    return figure
