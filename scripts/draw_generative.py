"""Draw docs/img/generative.png: the plane of a VAE, and a GAN's samples over its training, as the notebooks show them.

python scripts/draw_generative.py VAE GAN      # the two notebooks, executed
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import nbformat
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 640  # pixels of each picture; the samples are wide, so they stand below the plane


def picture(notebook: Path, cell_id: str) -> Image.Image:
    """The last picture that a cell shows, WIDTH pixels wide."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = next(cell for cell in cells if cell.id == cell_id).outputs
    shown = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    image = Image.open(io.BytesIO(base64.b64decode(shown[-1]))).convert("RGB")
    return image.resize((WIDTH, round(WIDTH * image.height / image.width)), Image.Resampling.LANCZOS)


def main() -> None:
    vae, gan = map(Path, sys.argv[1:])
    plane, samples = picture(vae, "q7_plane"), picture(gan, "q10_samples")
    both = Image.new("RGB", (WIDTH, plane.height + samples.height + 8), "white")
    both.paste(plane, (0, 0))
    both.paste(samples, (0, plane.height + 8))
    both.quantize(64).save(ROOT / "docs" / "img" / "generative.png", optimize=True)


if __name__ == "__main__":
    main()
