"""A stand-in for pyxis in tests: a SPANK plug-in in C, and images for it."""

from __future__ import annotations

from .images import Image, host_image, squash
from .plugin import build_plugin

__all__ = ["Image", "build_plugin", "host_image", "squash"]
