"""Find, decode, resize and crop image files, and identify images by digests."""

from __future__ import annotations

import contextlib
import hashlib
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from epsball.data import rgb, tree
from epsball.errors import EpsballError

# (..., height, width, 3): files give uint8, a user's arrays may be float32 in [0, 1].
Pictures = NDArray[np.uint8 | np.float32]


class UnusableImageError(EpsballError):
    """A file that cannot be used as an RGB image: it is named, skipped and counted."""


def read(path: Path, resize: int | None = None, crop: int | None = None) -> NDArray[np.uint8]:
    """Read an image, resize its short side (bicubic) and crop the central square; other modes become RGB.

    Args:
        path: file of the image.
        resize: length of the short side, in pixels; None keeps the size.
        crop: side of the square, in pixels; None keeps the whole image.

    Returns:
        uint8 (height, width, 3).

    Raises:
        UnusableImageError: the file is no image, or is damaged.
        EpsballError: it is smaller than the square.
    """
    return prepare(open_image(path), resize, crop, tree.readable(path))


def prepare(image: Image.Image, resize: int | None, crop: int | None, name: str) -> NDArray[np.uint8]:
    """Resize and crop an image in RGB as `read` does; `name` is the subject of the error message.

    Raises:
        EpsballError: it is smaller than the square.
    """
    if resize is not None:
        ratio = resize / min(image.size)
        width, height = (max(resize, round(side * ratio)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    if crop is not None:
        width, height = image.size
        if min(width, height) < crop:
            raise EpsballError(
                f"{name}: {width} × {height} pixels, expected at least {crop}; set resize: {crop} or more"
            )
        left, top = (width - crop) // 2, (height - crop) // 2
        image = image.crop((left, top, left + crop, top + crop))
    return np.asarray(image)


def open_image(path: Path) -> Image.Image:
    """Read an image file, of whatever mode, as an image in RGB.

    Raises:
        UnusableImageError: the file is no image, or is damaged.
    """
    with _opened(path) as image:
        return rgb.convert(image)


def header(path: Path) -> list[str]:
    """Read the header of an image file, and return its kinds, as `rgb.kinds` does.

    Raises:
        UnusableImageError: the file is no image, or its header is damaged.
    """
    with _opened(path) as image:
        return rgb.kinds(image)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a large size, odd metadata: the pixels are what counts
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
                raise ValueError("it is a pipe, a socket or a device, no regular file")
            with Image.open(path) as image:
                yield image
    except Image.DecompressionBombError as error:
        raise UnusableImageError(f"{tree.readable(path)}: too large ({error}); make it smaller or remove it") from None
    except Exception as error:  # of a damaged file, decoders raise anything
        said = str(error) or type(error).__name__
        raise UnusableImageError(
            f"{tree.readable(path)}: not readable as an image ({said}); replace or remove it"
        ) from None


def digest(image: Pictures) -> str:
    """Return the SHA-256 of an image's shape and pixels, in hexadecimal."""
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
