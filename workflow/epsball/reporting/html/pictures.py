"""Pictures inside the page, as data: URIs."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL = 96  # pixels, the longer side
LOSSLESS = 64  # pixels, the longer side, up to which an image is kept as it is
QUALITY = 80  # of WebP, of anything larger


def png(path: Path) -> str:
    """A PNG file as it is."""
    return _uri("png", path.read_bytes())


def webp(pixels: NDArray[np.uint8]) -> str:
    """An image (height, width, 3) as WebP: lossless up to 64 pixels a side, at quality 80 beyond."""
    return _encoded(Image.fromarray(pixels), lossless=is_lossless(pixels.shape))


def is_lossless(shape: tuple[int, ...]) -> bool:
    """Whether `webp` keeps an image (height, width, 3) as it is."""
    return max(shape[:2]) <= LOSSLESS


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """An image at most 96 pixels wide and high, as WebP at quality 80."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return _encoded(image, lossless=False)


def _encoded(image: Image.Image, lossless: bool) -> str:
    held = io.BytesIO()
    # What `quality` is of a lossless picture is effort: 0 is quick, and noise cannot be pressed further.
    image.save(held, "WEBP", lossless=lossless, quality=0 if lossless else QUALITY, method=2)
    return _uri("webp", held.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
