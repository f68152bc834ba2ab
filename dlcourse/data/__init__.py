"""Data that ships or is made on the spot, so that a notebook runs without a network; the real thing on request."""

from dlcourse.data.digits import mnist
from dlcourse.data.fashion import fashion_mnist
from dlcourse.data.garments import FASHION
from dlcourse.data.letters import LETTERS
from dlcourse.data.nist import letter_network, nist36, write_nist36
from dlcourse.data.pages import Page, text_image, text_images
from dlcourse.data.photographs import photos
from dlcourse.data.scenes import CLASSES, Scene, scenes

__all__ = [
    "CLASSES",
    "FASHION",
    "LETTERS",
    "Page",
    "Scene",
    "fashion_mnist",
    "letter_network",
    "mnist",
    "nist36",
    "photos",
    "scenes",
    "text_image",
    "text_images",
    "write_nist36",
]
