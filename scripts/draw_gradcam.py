"""Draw docs/img/gradcam.png: scenes, Grad-CAM of both networks, and Contrast-CAM, by the solutions of the notebooks."""

from __future__ import annotations

import io

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from notebooks import solution
from PIL import Image
from train_models import NOTEBOOK, ROOT

from dlcourse import models
from dlcourse.data.scenes import CLASSES, scenes
from dlcourse.overlays import visualize_cam

PICTURES = ((0, 1, 13), (2, 3, 10), (6, 7, 3), (4, 7, 5))  # P, Q, seed: three scenes with twins, one with strangers


def main() -> None:
    answers = solution(NOTEBOOK) | {"ContrastCAM": solution(NOTEBOOK.with_name("contrastcam.ipynb"))["ContrastCAM"]}
    norm = answers["transforms"].Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    vgg, resnet = models.load("vgg16"), models.load("resnet50")
    figure, axes = plt.subplots(4, len(PICTURES), figsize=(7.2, 7.9), layout="constrained")
    for column, (P, Q, seed) in zip(axes.T, PICTURES, strict=True):
        (scene,) = scenes(1, seed, (P, Q))
        sample = norm(answers["transforms"].ToTensor()(scene.image))[None]
        column[0].imshow(scene.image)
        column[0].set_title(f"{CLASSES[P]} and {CLASSES[Q]}", fontsize=9)
        for ax, network, name in ((column[1], vgg, "VGG"), (column[2], resnet, "ResNet")):
            saliency_map, logit = answers["GradCAM"](network, -2)(sample)
            ax.imshow(visualize_cam(saliency_map, scene.image)[1])
            ax.set_title(f"{name}: why {CLASSES[int(logit.argmax())]}?", fontsize=9)
        saliency_map, logit = answers["ContrastCAM"](resnet)(sample, Q)
        column[3].imshow(visualize_cam(saliency_map, scene.image)[1])
        column[3].set_title(f"rather than {CLASSES[Q]}?", fontsize=9)
    for ax in axes.flat:
        ax.axis("off")
    with io.BytesIO() as drawn:
        figure.savefig(drawn, dpi=90)
        Image.open(drawn).convert("RGB").quantize(256).save(ROOT / "docs" / "img" / "gradcam.png", optimize=True)


if __name__ == "__main__":
    main()
