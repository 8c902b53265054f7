"""Find, decode, resize and crop image files, and identify images by digests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from epsball.errors import EpsballError

# (..., height, width, 3): files give uint8, a user's arrays may be float32 in [0, 1].
Pictures = NDArray[np.uint8 | np.float32]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".webp", ".tif", ".tiff"}
_MODES = ("RGB", "L")  # one ImageNet photograph in a hundred is grey


class UnusableImageError(EpsballError):
    """A file that cannot be used as an RGB image: it is named, skipped and counted."""


def is_image(path: Path) -> bool:
    """Return whether a file's suffix is that of an image."""
    return path.suffix.lower() in _SUFFIXES


def read(path: Path, resize: int | None = None, crop: int | None = None) -> NDArray[np.uint8]:
    """Read an image, resize its short side (bicubic) and crop the central square; grey gets three equal channels.

    Args:
        path: file of the image.
        resize: length of the short side, in pixels; None keeps the size.
        crop: side of the square, in pixels; None keeps the whole image.

    Returns:
        uint8 (height, width, 3).

    Raises:
        UnusableImageError: the file is no image, or neither RGB nor grey.
        EpsballError: it is smaller than the square.
    """
    image = open_image(path)
    if resize is not None:
        ratio = resize / min(image.size)
        width, height = (max(resize, round(side * ratio)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    if crop is not None:
        width, height = image.size
        if min(width, height) < crop:
            raise EpsballError(
                f"{path}: {width} × {height} pixels, expected at least {crop}; set resize: {crop} or more"
            )
        left, top = (width - crop) // 2, (height - crop) // 2
        image = image.crop((left, top, left + crop, top + crop))
    return np.asarray(image)


def open_image(path: Path, load: bool = True) -> Image.Image:
    """Read an image file, RGB or grey, as an image in RGB; or only its header, to find out whether it can be read.

    Raises:
        UnusableImageError: the file is no image, or neither RGB nor grey.
    """
    try:
        with Image.open(path) as image:
            if load:
                image.load()
    except OSError as error:  # Pillow's own is one
        raise UnusableImageError(f"{path}: not readable as an image ({error}); replace or remove it") from None
    if image.mode not in _MODES:
        raise UnusableImageError(f"{path}: mode is {image.mode}, expected RGB or L (grey); convert or remove it")
    return image.convert("RGB") if load else image


def digest(image: Pictures) -> str:
    """Return the SHA-256 of an image's shape and pixels, in hexadecimal."""
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
