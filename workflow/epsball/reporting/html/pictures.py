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
QUALITY = 80  # of WebP, for anything larger


def png(path: Path) -> str:
    """Return a PNG file as it is."""
    return _uri("png", path.read_bytes())


def webp(pixels: NDArray[np.uint8]) -> str:
    """Encode an image (height, width, 3) as WebP: lossless if it `is_small`, at quality 80 otherwise."""
    # For lossless WebP, `quality` is the effort: 0 is quick, and more does not make noise smaller.
    options = {"lossless": True, "quality": 0} if is_small(pixels) else {"quality": QUALITY}
    return _encode(Image.fromarray(pixels), **options)


def is_small(pixels: NDArray[np.uint8]) -> bool:
    """Tell whether an image (height, width, 3) has at most 64 pixels a side."""
    return bool(max(pixels.shape[:2]) <= LOSSLESS)


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Shrink an image to at most 96 pixels a side, as WebP at quality 80."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return _encode(image, quality=QUALITY)


def _encode(image: Image.Image, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", method=2, **options)
    return _uri("webp", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
