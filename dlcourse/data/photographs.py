"""Photographs that ship with scikit-image and scikit-learn, or a folder of one's own."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageOps

from dlcourse.errors import CourseError

# Photographs that lie inside the packages themselves; most others of scikit-image are fetched when first used.
_SHIPPED = {
    "skimage/data": (
        "astronaut.png",
        "camera.png",
        "chelsea.png",
        "coffee.png",
        "coins.png",
        "hubble_deep_field.jpg",
        "moon.png",
        "motorcycle_left.png",
        "page.png",
        "rocket.jpg",
    ),
    "sklearn/datasets/images": ("china.jpg", "flower.jpg"),
}


def photos(folder: str | Path | None = None) -> list[Image.Image]:
    """Read photographs as RGB pictures, sorted by file name.

    Args:
        folder: whose files to read, hidden ones and folders left out; by default the twelve photographs that ship
            with scikit-image and scikit-learn.

    Raises:
        CourseError: the folder is missing or empty, or a file in it is no picture; the message names it.
    """
    if folder is None:
        found = [_installed(place) / name for place, names in _SHIPPED.items() for name in names]
        return [_read(path) for path in sorted(found, key=lambda path: path.name)]
    if not Path(folder).is_dir():
        raise CourseError(f"There is no folder {folder} here. Make it and put pictures into it (.jpg, .png, …).")
    found = sorted(path for path in Path(folder).iterdir() if path.is_file() and not path.name.startswith("."))
    if not found:
        raise CourseError(f"The folder {folder} is empty. Put pictures into it (.jpg, .png, …).")
    return [_read(path) for path in found]


def _installed(place: str) -> Path:
    """The folder of a package's data, found without importing the package, which takes seconds."""
    package, *rest = place.split("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise CourseError(f"The package {package}, whose photographs are used, is not installed.")
    return Path(spec.origin).parent.joinpath(*rest)


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except FileNotFoundError:
        raise CourseError(f"{path.name} is not where its package used to have it; use a folder of your own.") from None
    except (OSError, Image.DecompressionBombError) as error:
        raise CourseError(f"{path} is not a picture that can be read. Take it out of the folder.") from error
