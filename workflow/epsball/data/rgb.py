"""Images of every mode as RGB, converted as torchvision's loader does; what it would distort is scaled or refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import ExifTags, Image

# What is said of a mode, where there is more to say than that it is converted.
_HOW = {"L": "grey, in three equal channels", "1": "black and white, in three equal channels"}
_HOW |= dict.fromkeys(("RGBA", "LA", "PA", "RGBa", "La"), "without their transparency")
_HOW["I;16"] = "scaled to 8 bits, in three equal channels"
_CUT = ";16"  # after a mode of several channels: of their 16 bits each, Pillow reads the upper 8
# As torchvision's loader has it.
_FRAMES, _TURNED = "frames", "turned"
_LEFT_OUT = {
    _FRAMES: "more than one frame: the first is taken",
    _TURNED: "an orientation in EXIF: it is not turned, as torchvision does not",
}
_WAYS = {"La": "LA"}  # steps of a conversion that Pillow does not make at once


def mode(image: Image.Image) -> str:
    """Return the mode of an image, or of the header of its file; with ``;16`` for several channels of 16 bits.

    Raises:
        ValueError: the mode says nothing about the range of the values.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in {"PNG", "PPM"}):
        return "I;16"
    if image.mode in {"I", "F"}:
        raise ValueError(f"its mode is {image.mode}, whose values have no range of their own; save it with 8 bits")
    return image.mode + _CUT * _cut(image)


def kinds(image: Image.Image) -> list[str]:
    """Return the mode of an image, and what else is to be said of it, by the header of its file.

    Raises:
        ValueError: see `mode`.
    """
    found = [mode(image)]
    if getattr(image, "n_frames", 1) > 1:
        found.append(_FRAMES)
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        found.append(_TURNED)
    return found


def _cut(image: Image.Image) -> bool:
    """Return whether Pillow cuts 16 bits a channel, by what the header of a file says to the decoder."""
    for tile in getattr(image, "tile", ()):
        for said in tile[3] if isinstance(tile[3], tuple) else (tile[3],):
            if isinstance(said, str) and _CUT in said and not said.startswith("BGR"):  # BGR;16 is 5, 6 and 5 bits
                return True
            if image.format == "PPM" and isinstance(said, int) and said > 255:
                return True
    return False


def convert(image: Image.Image) -> Image.Image:
    """Return an image in RGB with 8 bits a channel.

    Raises:
        ValueError: the image has a mode that cannot be converted.
    """
    if mode(image) == "I;16":  # Pillow would cut off all above 255
        image = Image.fromarray(np.round(np.asarray(image, dtype=np.float64) / 257).astype(np.uint8))
    if image.mode in _WAYS:
        image = image.convert(_WAYS[image.mode])
    return image.convert("RGB")


def remarks(images: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    """Yield a sentence about the images of each kind but RGB.

    Args:
        images: by kind, how many there are, and the name of the first.
    """
    for name, (count, first) in sorted(images.items()):
        what = _LEFT_OUT.get(name, f"mode {name}")
        such = f"{count} images have {what}, such as {first}" if count > 1 else f"{first} has {what}"
        if name in _LEFT_OUT:
            yield such
        elif name != "RGB":
            how = _HOW.get(name) or _HOW.get(name.removesuffix(_CUT), "")
            if name.endswith(_CUT) and name not in _HOW:
                how = f"{how and how + ', '}the upper 8 of 16 bits a channel"
            yield f"{such}: converted to RGB{how and ', ' + how}"
