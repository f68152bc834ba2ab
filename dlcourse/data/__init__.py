"""Data that ships or is made on the spot, so that a notebook runs without a network; the real thing on request."""

from dlcourse.data.digits import mnist
from dlcourse.data.photographs import photos
from dlcourse.data.scenes import CLASSES, Scene, scenes

__all__ = ["CLASSES", "Scene", "mnist", "photos", "scenes"]
