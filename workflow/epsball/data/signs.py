"""Rendered traffic signs: the 43 classes of the German benchmark, drawn with Pillow, each image from its own seed.

Pose, light, blur, clutter and resolution vary as in the real benchmark (Stallkamp, Schlipsing, Salmen & Igel, "Man vs.
computer", Neural Networks 32, 2012). The signs are schematic. They replace the benchmark where nothing may be
downloaded; results on them say nothing about the real one. A run renders them once, then reads them as arrays.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from epsball.config import DatasetSpec
from epsball.data import Pool, arrays, german_signs
from epsball.runs import files
from epsball.runs.progress import Progress

TERMS = "made by this workflow: none"

SIZE = 48
CLASSES = 43

_SPLITS = ("train", "test")

_TEMPLATE = 128
_WORK = 2 * SIZE  # drawn at twice the size, then reduced: smooth edges

_COLOURS = {
    "red": "#c1121f",
    "blue": "#1d4e9e",
    "white": "#f4f4f4",
    "black": "#111111",
    "yellow": "#f2b705",
    "green": "#2a9d3f",
    "grey": "#7a7a7a",
}

# Shapes that `_draw` knows, with numbers in hundredths of the side.
_BOARDS = {
    "prohibition": "disc red 50 50 49; disc white 50 50 37",
    "mandatory": "disc white 50 50 49; disc blue 50 50 46",
    "danger": "polygon red 50 -6 98.5 78 1.5 78; polygon white 50 16 84 71 16 71",
    "end": "disc white 50 50 49; line black 2.5 10 88 70 12; line black 2.5 17 88 77 12; line black 2.5 24 88 84 12; "
    "line black 2.5 31 88 91 12",
}
_SIGNS = {
    **{label: f"prohibition; text black 42 {speed}" for label, speed in enumerate((20, 30, 50, 60, 70, 80))},
    6: "disc white 50 50 49; text grey 42 80; line black 2.5 15 88 75 12; line black 2.5 22 88 82 12; "
    "line black 2.5 29 88 89 12",
    7: "prohibition; text black 32 100",
    8: "prohibition; text black 32 120",
    9: "prohibition; car red 36 50; car black 66 50",
    10: "prohibition; lorry red 34 50; car black 69 50",
    # Right of way at the next crossing, priority road, yield.
    11: "danger; line black 10 50 68 50 34; line black 5 36 54 64 54",
    12: "polygon white 50 1 99 50 50 99 1 50; polygon yellow 50 13 87 50 50 87 13 50",
    13: "polygon red 50 106 1.5 22 98.5 22; polygon white 50 82 18 30 82 30",
    14: "polygon red 69.9 1.96 98.04 30.1 98.04 69.9 69.9 98.04 30.1 98.04 1.96 69.9 1.96 30.1 30.1 1.96; "
    "text white 30 STOP",
    15: "prohibition",
    16: "prohibition; lorry black 50 52",
    17: "disc red 50 50 49; line white 17 16 50 84 50",
    # General caution, curves to the left and right, double curve, bumpy road, slippery road, road narrows.
    18: "danger; line black 8 50 32 50 54; disc black 50 63 4.5",
    19: "danger; line black 8 58 67 58 52 42 42",
    20: "danger; line black 8 42 67 42 52 58 42",
    21: "danger; line black 6 42 68 42 58 58 50 58 40 46 34",
    22: "danger; line black 6 24 65 76 65; disc black 40 60 9; disc black 60 60 9",
    23: "danger; car black 50 44; line black 3 36 68 46 62 38 56; line black 3 56 68 66 62 58 56",
    24: "danger; line black 5 42 68 42 36; line black 5 66 68 66 58 57 50 57 36",
    # Road work, traffic signals, pedestrians, children, bicycles, ice and snow, wild animals.
    25: "danger; disc black 48 36 5; line black 5 46 40 40 54 34 67; line black 4 46 46 66 60; "
    "polygon black 58 68 68 56 78 68",
    26: "danger; disc red 50 36 6; disc yellow 50 50 6; disc green 50 64 6",
    27: "danger; disc black 50 34 5; line black 6 50 38 50 54; line black 5 40 68 50 54 60 68",
    28: "danger; disc black 40 42 5; line black 6 40 46 40 58; line black 4 33 69 40 58 47 69; disc black 60 42 5; "
    "line black 6 60 46 60 58; line black 4 53 69 60 58 67 69",
    29: "danger; disc black 37 60 10; disc white 37 60 6.5; disc black 63 60 10; disc white 63 60 6.5; "
    "line black 3.5 37 60 46 46 60 46 63 60",
    30: "danger; line black 4.5 50 38 50 70; line black 4.5 36.14 46 63.86 62; line black 4.5 36.14 62 63.86 46",
    31: "danger; polygon black 30 56 56 46 68 34 72 40 62 56 40 62; line black 4 38 58 32 69; line black 4 58 56 62 69",
    32: "end",
    33: "mandatory; arrow 40 76 40 50 64 50",
    34: "mandatory; arrow 60 76 60 50 36 50",
    35: "mandatory; arrow 50 80 50 34",
    36: "mandatory; arrow 38 80 38 34; arrow 38 60 64 60",
    37: "mandatory; arrow 62 80 62 34; arrow 62 60 36 60",
    38: "mandatory; arrow 32 32 62 62",
    39: "mandatory; arrow 68 32 38 62",
    40: "mandatory; arc white 10 26 26 74 74; polygon white 50 16 50 42 74 29",  # roundabout
    41: "end; car grey 36 50; car grey 66 50",
    42: "end; lorry grey 34 50; car grey 69 50",
}


def _pixels(numbers: list[str]) -> list[float]:
    return [float(number) * _TEMPLATE / 100 for number in numbers]


def _draw(pen: ImageDraw.ImageDraw, shape: str) -> None:
    match shape.split():
        case [board]:
            for part in _BOARDS[board].split("; "):
                _draw(pen, part)
        case ["text", colour, size, text]:
            font, fill = ImageFont.load_default(_pixels([size])[0]), _COLOURS[colour]
            pen.text((64, 64), text, fill=fill, font=font, anchor="mm", stroke_width=2, stroke_fill=fill)
        case ["disc", colour, *numbers]:
            x, y, radius = _pixels(numbers)
            pen.circle((x, y), radius, fill=_COLOURS[colour])
        case ["polygon", colour, *numbers]:
            pen.polygon(_pixels(numbers), fill=_COLOURS[colour])
        case ["line", colour, *numbers]:
            width, *points = _pixels(numbers)
            pen.line(points, fill=_COLOURS[colour], width=round(width), joint="curve")
        case ["arc", colour, *numbers]:
            width, *box = _pixels(numbers)
            pen.arc(box, 0, 290, fill=_COLOURS[colour], width=round(width))
        case ["arrow", *points]:
            _draw(pen, f"line white 11 {' '.join(points)}")
            x0, y0, x1, y1 = map(float, points[-4:])
            length = math.hypot(x1 - x0, y1 - y0)
            ux, uy = (x1 - x0) / length, (y1 - y0) / length
            sides = f"{x1 - 13 * uy} {y1 + 13 * ux} {x1 + 13 * uy} {y1 - 13 * ux}"
            _draw(pen, f"polygon white {sides} {x1 + 14 * ux} {y1 + 14 * uy}")
        case ["car", colour, *place]:
            x, y = map(int, place)
            _draw(pen, f"polygon {colour} {x - 12} {y} {x - 6} {y - 9} {x + 6} {y - 9} {x + 12} {y}")
            _draw(pen, f"polygon {colour} {x - 14} {y} {x + 14} {y} {x + 14} {y + 9} {x - 14} {y + 9}")
        case ["lorry", colour, *place]:
            x, y = map(int, place)
            _draw(pen, f"polygon {colour} {x - 18} {y - 14} {x + 6} {y - 14} {x + 6} {y + 9} {x - 18} {y + 9}")
            _draw(pen, f"polygon {colour} {x + 8} {y - 6} {x + 18} {y - 6} {x + 18} {y + 9} {x + 8} {y + 9}")


@functools.cache
def template(label: int) -> Image.Image:
    """Draw the clean sign of a class, RGBA, 128 × 128, in the benchmark's order of classes."""
    image = Image.new("RGBA", (_TEMPLATE, _TEMPLATE), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    for shape in _SIGNS[label].split("; "):
        _draw(pen, shape)
    return image


def _colour(rng: np.random.Generator) -> tuple[int, ...]:
    """Draw a colour of streets: grey or green or blue, seldom saturated."""
    base = rng.uniform(30, 220)
    return tuple(np.clip(base + rng.normal(0, 28, 3), 0, 255).astype(int).tolist())


def _clutter(rng: np.random.Generator) -> Image.Image:
    """Draw a background: a coarse random texture, with poles, edges and branches."""
    coarse = rng.normal(0, rng.uniform(5, 45), (6, 6, 3)) + np.array(_colour(rng))
    image = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8)).resize((_WORK, _WORK), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    for _ in range(rng.integers(0, 5)):
        x0, y0, x1, y1 = (float(c) for c in rng.uniform(-10, _WORK + 10, 4))
        if rng.random() < 0.5:
            pen.line((x0, y0, x1, y1), fill=_colour(rng), width=int(rng.integers(1, 9)))
        else:
            pen.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=_colour(rng))
    return image


def _perspective(rng: np.random.Generator) -> tuple[float, ...]:
    """Draw size, place, rotation and perspective, as Pillow's coefficients from the picture to the template."""
    half = 0.5 * _WORK * rng.uniform(0.66, 0.94)
    x, y = 0.5 * _WORK + _WORK * rng.uniform(-0.05, 0.05, 2)
    angle = math.radians(rng.normal(0, 5))
    corners = half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (rng.uniform(0.85, 1), 1)
    corners += half * rng.uniform(-0.08, 0.08, (4, 2))
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    target = corners @ rotation.T + (x, y)
    source = _TEMPLATE * np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    rows, values = [], []
    for (u, v), (s, t) in zip(target, source, strict=True):
        rows += [(u, v, 1, 0, 0, 0, -s * u, -s * v), (0, 0, 0, u, v, 1, -t * u, -t * v)]
        values += [s, t]
    return tuple(float(c) for c in np.linalg.solve(np.array(rows), np.array(values)))


def _light(pixels: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Vary exposure, contrast, tint and sometimes a shadow's edge of pixels (height, width, 3) from 0 to 255."""
    contrast = rng.uniform(0.35, 1.1)
    level = rng.uniform(60, 170)
    tint = 1 + rng.normal(0, 0.05, 3)
    pixels = ((pixels - 128) * contrast + level) * tint
    if rng.random() < 0.25:
        rows, columns = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
        angle = rng.uniform(0, 2 * math.pi)
        side = rows * math.sin(angle) + columns * math.cos(angle) > rng.uniform(-0.5, 0.5)
        pixels = pixels * np.where(side, rng.uniform(0.55, 0.85), 1.0)[:, :, None]
    return pixels


def image(split: str, seed: int, number: int) -> NDArray[np.uint8]:
    """Render a picture of class ``number % 43`` from its split ("train" or "test"), the seed and its number alone.

    Returns:
        uint8 (48, 48, 3), RGB.
    """
    rng = np.random.default_rng([seed, _SPLITS.index(split), number])
    sign = template(number % CLASSES).transform(
        (_WORK, _WORK), Image.Transform.PERSPECTIVE, _perspective(rng), Image.Resampling.BILINEAR
    )
    picture = _clutter(rng)
    picture.paste(sign, mask=sign.getchannel("A"))
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2.2)))
    # As a camera resolves the sign: the benchmark's smallest are 15 pixels wide.
    resolution = int(rng.integers(20, SIZE + 1))
    picture = picture.resize((resolution, resolution), Image.Resampling.BOX)
    picture = picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    pixels = _light(np.asarray(picture, dtype=np.float64), rng)
    pixels += rng.normal(0, rng.uniform(0, 6), pixels.shape)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _labels(count: int) -> NDArray[np.int64]:
    return np.arange(count, dtype=np.int64) % CLASSES


def render(spec: DatasetSpec, split: str, path: Path) -> None:
    """Render a split, "train" or "test", into an .npz of images and labels."""
    count = spec.options[split]
    pictures = np.empty((count, SIZE, SIZE, 3), dtype=np.uint8)
    with Progress(f"render {spec.name} {split}", count, "images") as progress:
        for number in range(count):
            pictures[number] = image(split, spec.options["seed"], number)
            progress.advance(1)
    with files.atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, images=pictures, labels=_labels(count))


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`. Images without a file are rendered as they are read."""
    path = folder / f"{split}.npz"
    if path.is_file():
        return replace(arrays.load(path), class_names=german_signs.NAMES)
    count, seed = spec.options[split], spec.options["seed"]
    return Pool(
        arrays.names(count),
        _labels(count),
        lambda number: image(split, seed, number),
        class_names=german_signs.NAMES,
    )
