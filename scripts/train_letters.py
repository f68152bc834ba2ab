"""``make models``: train the network of letters and digits that ships with the course, and write down how it went.

One hidden layer of 64 sigmoid units on ``nist36("train")``, by the plain gradient descent of ``bench/data.py``. The
weights are kept in 16 bits, which changes no more than a few of 3,600 answers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from dlcourse.data import letter_network, nist36
from dlcourse.data.nist import WEIGHTS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import data as bench  # noqa: E402

SETTINGS = {"batch": 32, "rate": 0.01, "seed": 0}


def main() -> None:
    images, labels = nist36("train")
    weights = bench.descended(images, labels, **SETTINGS)
    names = ("Wlayer1", "blayer1", "Woutput", "boutput")
    WEIGHTS.write_bytes(save({name: w.astype(np.float16) for name, w in zip(names, weights, strict=True)}))
    log = {"data": "nist36", "settings": SETTINGS | {"epochs": bench.EPOCHS}}
    for split in ("valid", "test"):
        images, labels = nist36(split)
        params = letter_network()
        for kind, network in (("", [params[name] for name in names]), (" in 64 bits", weights)):
            predicted = bench.classifier(*network)(images)
            log[f"accuracy, {split}{kind}"] = round(float((predicted == labels.argmax(1)).mean()), 4)
    WEIGHTS.with_suffix(".json").write_text(json.dumps(log, indent=1) + "\n", "utf-8")
    print(json.dumps(log, indent=1))


if __name__ == "__main__":
    main()
