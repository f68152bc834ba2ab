"""``make models``: train the small networks of ``dlcourse.models`` on scenes, and write down how it went.

For each network two files in dlcourse/weights/: the weights, float32, and a log with the settings, the loss of every
epoch, the accuracy on scenes that were not trained on, and how well the Grad-CAM of the course's own solution points
at the objects there. Everything is seeded: the same machine gives the same weights, another one the same figures
within a percent.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from notebooks import solution
from safetensors.torch import save
from torch import nn
from tqdm import tqdm

from dlcourse import models
from dlcourse.data.scenes import CLASSES, SIZE, Scene, scene

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "source" / "ps7_explainability" / "gradcam.ipynb"
NETWORKS = {"vgg16": lambda: models.small_vgg(batch_norm=True), "resnet50": models.small_resnet}
SETTINGS = {"scenes": 6000, "batch": 32, "peak_rate": 5e-3, "weight_decay": 1e-2, "threads": 1, "seed": 0}
EPOCHS = {"vgg16": 10, "resnet50": 6}
TRAINING, HELD_OUT = 1, 2  # seeds of the scenes
MEASURED = 1000  # held-out scenes
MEAN, STD = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def example(seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """One picture, bytes of shape (3, SIZE, SIZE), and the share of each class, shape (8,)."""
    made = scene(np.random.default_rng((seed, index)))
    return np.asarray(made.image).transpose(2, 0, 1), made.shares().astype(np.float32)


def normalised(pictures: torch.Tensor) -> torch.Tensor:
    """Bytes (N, 3, H, W) to what the networks take."""
    return ((pictures.float() / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def train(
    build: Any, pictures: torch.Tensor, shares: torch.Tensor, settings: dict[str, Any]
) -> tuple[nn.Module, list[float]]:
    """Train a network to answer each class's share of the object pixels; return it and the mean loss of each epoch."""
    torch.manual_seed(settings["seed"])
    torch.set_num_threads(settings["threads"])
    network = build().to(memory_format=torch.channels_last).train()
    batch, steps = settings["batch"], len(pictures) // settings["batch"]
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=settings["weight_decay"])
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings["peak_rate"], epochs=settings["epochs"], steps_per_epoch=steps
    )
    losses = []
    for epoch in range(settings["epochs"]):
        order, total = torch.randperm(len(pictures)), 0.0
        progress = tqdm(range(steps), desc=f"epoch {epoch + 1}", unit="batch", mininterval=2)
        for step in progress:
            chosen = order[step * batch : (step + 1) * batch]
            inputs = normalised(pictures[chosen])
            inputs = inputs.flip(3) if step % 2 else inputs
            loss = nn.functional.cross_entropy(network(inputs), shares[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            total += loss.item()
            progress.set_postfix(loss=f"{total / (step + 1):.3f}")
        losses.append(round(total / steps, 4))
    return network.eval(), losses


def measure(network: nn.Module, held_out: list[Scene], answers: dict[str, Any]) -> dict[str, float]:
    """Accuracy of a network and localisation of its Grad-CAM on scenes, beside three opponents.

    A prediction counts as present when the scene holds such an object, as largest when it is the largest one. All
    masks are those of the predicted class; where it is not present the game is lost.
    """
    network.eval()
    y, x = torch.meshgrid(*2 * [torch.linspace(-1, 1, SIZE)], indexing="ij")
    fixed = {"random": torch.ones(1, 1, SIZE, SIZE), "centre": torch.exp(-8 * (x**2 + y**2))[None, None]}
    cams = {"gradcam": answers["GradCAM"](network, -2)}
    cams["randomised"] = answers["GradCAM"](models.randomised(network), -2)
    sums: dict[str, float] = {}
    for one in tqdm(held_out, desc="held out", unit="scene", mininterval=2):
        sample = normalised(torch.from_numpy(np.asarray(one.image).transpose(2, 0, 1).copy())[None])
        maps, label = dict(fixed), -1
        for name, cam in cams.items():
            maps[name], logit = cam(sample)
            label = int(logit.argmax()) if name == "gradcam" else label
        mask = torch.from_numpy(one.mask(label))
        results = {"present": float(mask.any()), "largest": float(label == one.objects[0].label)}
        results |= {f"pointing_{name}": answers["pointing_game"](found, mask) for name, found in maps.items()}
        results |= {f"energy_{name}": answers["energy_inside"](found, mask) for name, found in maps.items()}
        for name, value in results.items():
            sums[name] = sums.get(name, 0.0) + value
    return {name: round(total / len(held_out), 4) for name, total in sums.items()}


def held_out_scenes(number: int) -> list[Scene]:
    """Scenes that no network was trained on."""
    return [scene(np.random.default_rng((HELD_OUT, index))) for index in range(number)]


def write(name: str, weights: dict[str, torch.Tensor] | None, log: dict[str, Any]) -> None:
    """Replace weights and log of a network at once each."""
    models.WEIGHTS.mkdir(exist_ok=True)
    for suffix in ("safetensors", "json"):
        target = models.WEIGHTS / f"{name}_scenes.{suffix}"
        temporary = target.with_name(target.name + ".part")
        if suffix == "json":
            temporary.write_text(json.dumps(log, indent=1) + "\n", "utf-8")
        elif weights is None:
            continue
        else:
            temporary.write_bytes(save(weights))
        temporary.replace(target)


def main(names: list[str]) -> int:
    """Train the named networks, or with ``--measure`` in front only measure again the ones that are there."""
    only_measure = names[:1] == ["--measure"]
    chosen = names[only_measure:] or list(NETWORKS)
    if unknown := set(chosen) - set(NETWORKS):
        print(f"No such network: {', '.join(sorted(unknown))}; there are {', '.join(NETWORKS)}.", file=sys.stderr)
        return 2
    if not only_measure:
        with ProcessPoolExecutor(2) as pool:
            numbers = range(SETTINGS["scenes"])
            made = list(tqdm(pool.map(example, [TRAINING] * len(numbers), numbers, chunksize=50), total=len(numbers)))
        pictures = torch.from_numpy(np.stack([picture for picture, _ in made]))
        shares = torch.from_numpy(np.stack([share for _, share in made]))
        del made
        for name in chosen:
            begin, settings = time.monotonic(), SETTINGS | {"epochs": EPOCHS[name]}
            network, losses = train(NETWORKS[name], pictures, shares, settings)
            plain = models.fold(network) if name == "vgg16" else network
            weights = {key: value.contiguous() for key, value in plain.state_dict().items()}
            log = {"network": name, "classes": CLASSES, "settings": settings, "torch": torch.__version__.split("+")[0]}
            log |= {"parameters": sum(p.numel() for p in plain.parameters())}
            log |= {"loss": losses, "seconds": round(time.monotonic() - begin)}
            write(name, weights, log)
    answers, held_out = solution(NOTEBOOK), held_out_scenes(MEASURED)
    for name in chosen:
        log = json.loads((models.WEIGHTS / f"{name}_scenes.json").read_text("utf-8"))
        log["held_out"] = {"scenes": MEASURED} | measure(models.load(name), held_out, answers)
        write(name, None, log)
        print(name, json.dumps(log["held_out"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
