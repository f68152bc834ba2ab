"""Overlays are what they are said to be, whatever kind of array, tensor or picture comes in."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from dlcourse.overlays import vis_img_label, visualize_cam

matplotlib.use("agg")


def test_overlay() -> None:
    """The heat map runs from blue to red; the overlay is their sum with the picture, divided by its maximum."""
    mask = np.array([[0.0, 1.0], [0.5, 0.0]])
    image = np.full((2, 2, 3), 51, np.uint8)
    heatmap, result = visualize_cam(mask, image)
    assert heatmap[0, 0, 2] > 0.4 and heatmap[0, 0, 0] == 0
    assert heatmap[0, 1, 0] > 0.4 and heatmap[0, 1, 2] == 0
    np.testing.assert_allclose(result, (heatmap + 0.2) / (heatmap + 0.2).max())
    assert result.max() == 1


def test_kinds_and_sizes() -> None:
    """Tensors with leading axes and PIL pictures give the same; a smaller map is resized to the picture."""
    mask = torch.rand(1, 1, 12, 18, generator=torch.Generator().manual_seed(0), requires_grad=True)
    image = Image.new("RGB", (18, 12), (10, 200, 30))
    expected = visualize_cam(mask[0, 0].detach().numpy(), np.asarray(image))
    for one, other in zip(visualize_cam(mask, image), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    heatmap, result = visualize_cam(torch.eye(3), Image.new("RGB", (60, 40)))
    assert heatmap.shape == result.shape == (40, 60, 3)
    assert heatmap[1, 1, 0] > heatmap[1, 58, 0]


@pytest.mark.parametrize(("number", "rows"), [(1, 1), (4, 1), (5, 2), (9, 3)])
def test_grid(number: int, rows: int) -> None:
    """Four pictures a row, each with its title, empty places without axes."""
    figure = vis_img_label([np.zeros((4, 4, 3))] * number, [str(n) for n in range(number)])
    assert len(figure.axes) == 4 * rows
    assert [ax.get_title() for ax in figure.axes[:number]] == [str(n) for n in range(number)]
    assert not any(ax.axison for ax in figure.axes)
    matplotlib.pyplot.close(figure)
