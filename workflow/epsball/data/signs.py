"""Rendered traffic signs: the 43 classes of the German benchmark, drawn with Pillow, each image from its own seed.

Pose, light, blur, clutter and resolution vary as in the real benchmark (Stallkamp, Schlipsing, Salmen & Igel, "Man vs.
computer", Neural Networks 32, 2012). The signs are schematic. They replace the benchmark where nothing may be
downloaded; results on them say nothing about the real one.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = 48
CLASSES = 43

_SPLITS = ("train", "test")

_TEMPLATE = 128
_WORK = 2 * SIZE  # drawn at twice the size, then reduced: smooth edges

_RED, _BLUE, _WHITE, _BLACK, _YELLOW, _GREY = "#c1121f", "#1d4e9e", "#f4f4f4", "#111111", "#f2b705", "#7a7a7a"

_LIMITS = {0: "20", 1: "30", 2: "50", 3: "60", 4: "70", 5: "80", 7: "100", 8: "120"}
_ARROWS: dict[int, list[tuple[float, ...]]] = {  # of mandatory directions
    33: [(0.4, 0.76, 0.4, 0.5, 0.64, 0.5)],
    34: [(0.6, 0.76, 0.6, 0.5, 0.36, 0.5)],
    35: [(0.5, 0.8, 0.5, 0.34)],
    36: [(0.38, 0.8, 0.38, 0.34), (0.38, 0.6, 0.64, 0.6)],
    37: [(0.62, 0.8, 0.62, 0.34), (0.62, 0.6, 0.36, 0.6)],
    38: [(0.32, 0.32, 0.62, 0.62)],
    39: [(0.68, 0.32, 0.38, 0.62)],
}


def _points(*coordinates: float) -> list[tuple[float, float]]:
    """Convert coordinates on the unit square to points in template pixels."""
    scaled = [c * _TEMPLATE for c in coordinates]
    return list(zip(scaled[::2], scaled[1::2], strict=True))


def _regular(corners: int, radius: float, turn: float = 0.0) -> list[tuple[float, float]]:
    angles = [2 * math.pi * i / corners + turn for i in range(corners)]
    return [((0.5 + radius * math.sin(a)) * _TEMPLATE, (0.5 - radius * math.cos(a)) * _TEMPLATE) for a in angles]


class _Sign:
    """A template to draw on."""

    def __init__(self) -> None:
        self.image = Image.new("RGBA", (_TEMPLATE, _TEMPLATE), (0, 0, 0, 0))
        self.pen = ImageDraw.Draw(self.image)

    def disc(self, radius: float, fill: str, x: float = 0.5, y: float = 0.5) -> None:
        self.pen.ellipse(_points(x - radius, y - radius, x + radius, y + radius), fill=fill)

    def polygon(self, *coordinates: float, fill: str = _BLACK) -> None:
        self.pen.polygon(_points(*coordinates), fill=fill)

    def line(self, *coordinates: float, width: float = 0.08, fill: str = _BLACK) -> None:
        self.pen.line(_points(*coordinates), fill=fill, width=round(width * _TEMPLATE), joint="curve")

    def text(self, text: str, size: float, fill: str = _BLACK, y: float = 0.5) -> None:
        font = ImageFont.load_default(size * _TEMPLATE)
        middle = (0.5 * _TEMPLATE, y * _TEMPLATE)
        self.pen.text(middle, text, fill=fill, font=font, anchor="mm", stroke_width=2, stroke_fill=fill)

    def prohibition(self) -> None:
        self.disc(0.49, _RED)
        self.disc(0.37, _WHITE)

    def mandatory(self) -> None:
        self.disc(0.49, _WHITE)
        self.disc(0.46, _BLUE)

    def end(self) -> None:
        self.disc(0.49, _WHITE)
        for shift in (-0.1, -0.03, 0.04, 0.11):
            self.line(0.2 + shift, 0.88, 0.8 + shift, 0.12, width=0.025)

    def danger(self) -> None:
        self.pen.polygon(_regular(3, 0.56), fill=_RED)
        self.polygon(0.5, 0.16, 0.84, 0.71, 0.16, 0.71, fill=_WHITE)

    def car(self, x: float, y: float, fill: str) -> None:
        self.polygon(x - 0.12, y, x - 0.06, y - 0.09, x + 0.06, y - 0.09, x + 0.12, y, fill=fill)
        self.polygon(x - 0.14, y, x + 0.14, y, x + 0.14, y + 0.09, x - 0.14, y + 0.09, fill=fill)

    def lorry(self, x: float, y: float, fill: str) -> None:
        self.polygon(x - 0.18, y - 0.14, x + 0.06, y - 0.14, x + 0.06, y + 0.09, x - 0.18, y + 0.09, fill=fill)
        self.polygon(x + 0.08, y - 0.06, x + 0.18, y - 0.06, x + 0.18, y + 0.09, x + 0.08, y + 0.09, fill=fill)

    def arrow(self, *coordinates: float) -> None:
        """Draw a line through the points, with a head at the last one."""
        self.line(*coordinates, width=0.11, fill=_WHITE)
        x0, y0, x1, y1 = coordinates[-4:]
        length = math.hypot(x1 - x0, y1 - y0)
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        tip = (x1 + 0.14 * ux, y1 + 0.14 * uy)
        self.polygon(x1 - 0.13 * uy, y1 + 0.13 * ux, x1 + 0.13 * uy, y1 - 0.13 * ux, *tip, fill=_WHITE)


def _dangers(sign: _Sign, index: int) -> None:
    sign.danger()
    match index:
        case 18:  # general caution
            sign.line(0.5, 0.32, 0.5, 0.54)
            sign.disc(0.045, _BLACK, y=0.63)
        case 19:  # curve to the left
            sign.line(0.58, 0.67, 0.58, 0.52, 0.42, 0.42)
        case 20:  # curve to the right
            sign.line(0.42, 0.67, 0.42, 0.52, 0.58, 0.42)
        case 21:  # double curve
            sign.line(0.42, 0.68, 0.42, 0.58, 0.58, 0.5, 0.58, 0.4, 0.46, 0.34, width=0.06)
        case 22:  # bumpy road
            sign.line(0.24, 0.65, 0.76, 0.65, width=0.06)
            sign.disc(0.09, _BLACK, 0.4, 0.6)
            sign.disc(0.09, _BLACK, 0.6, 0.6)
        case 23:  # slippery road
            sign.car(0.5, 0.44, _BLACK)
            sign.line(0.36, 0.68, 0.46, 0.62, 0.38, 0.56, width=0.03)
            sign.line(0.56, 0.68, 0.66, 0.62, 0.58, 0.56, width=0.03)
        case 24:  # road narrows
            sign.line(0.42, 0.68, 0.42, 0.36, width=0.05)
            sign.line(0.66, 0.68, 0.66, 0.58, 0.57, 0.5, 0.57, 0.36, width=0.05)
        case 25:  # road work
            sign.disc(0.05, _BLACK, 0.48, 0.36)
            sign.line(0.46, 0.4, 0.4, 0.54, 0.34, 0.67, width=0.05)
            sign.line(0.46, 0.46, 0.66, 0.6, width=0.04)
            sign.polygon(0.58, 0.68, 0.68, 0.56, 0.78, 0.68)
        case 26:  # traffic signals
            for y, colour in ((0.36, _RED), (0.5, _YELLOW), (0.64, "#2a9d3f")):
                sign.disc(0.06, colour, y=y)
        case 27:  # pedestrians
            sign.disc(0.05, _BLACK, y=0.34)
            sign.line(0.5, 0.38, 0.5, 0.54, width=0.06)
            sign.line(0.4, 0.68, 0.5, 0.54, 0.6, 0.68, width=0.05)
        case 28:  # children
            for x in (0.4, 0.6):
                sign.disc(0.05, _BLACK, x, 0.42)
                sign.line(x, 0.46, x, 0.58, width=0.06)
                sign.line(x - 0.07, 0.69, x, 0.58, x + 0.07, 0.69, width=0.04)
        case 29:  # bicycles
            for x in (0.37, 0.63):
                sign.disc(0.1, _BLACK, x, 0.6)
                sign.disc(0.065, _WHITE, x, 0.6)
            sign.line(0.37, 0.6, 0.46, 0.46, 0.6, 0.46, 0.63, 0.6, width=0.035)
        case 30:  # ice and snow
            for turn in (0.0, math.pi / 3, 2 * math.pi / 3):
                dx, dy = 0.16 * math.sin(turn), 0.16 * math.cos(turn)
                sign.line(0.5 - dx, 0.54 - dy, 0.5 + dx, 0.54 + dy, width=0.045)
        case _:  # wild animals
            sign.polygon(0.3, 0.56, 0.56, 0.46, 0.68, 0.34, 0.72, 0.4, 0.62, 0.56, 0.4, 0.62)
            sign.line(0.38, 0.58, 0.32, 0.69, width=0.04)
            sign.line(0.58, 0.56, 0.62, 0.69, width=0.04)


def _others(sign: _Sign, index: int) -> None:
    match index:
        case 6:  # end of the limit of 80
            sign.disc(0.49, _WHITE)
            sign.text("80", 0.42, _GREY)
            for shift in (-0.05, 0.02, 0.09):
                sign.line(0.2 + shift, 0.88, 0.8 + shift, 0.12, width=0.025)
        case 9:
            sign.prohibition()
            sign.car(0.36, 0.5, _RED)
            sign.car(0.66, 0.5, _BLACK)
        case 10:
            sign.prohibition()
            sign.lorry(0.34, 0.5, _RED)
            sign.car(0.69, 0.5, _BLACK)
        case 11:  # right of way
            sign.danger()
            sign.line(0.5, 0.68, 0.5, 0.34, width=0.1)
            sign.line(0.36, 0.54, 0.64, 0.54, width=0.05)
        case 12:  # priority road
            sign.polygon(0.5, 0.01, 0.99, 0.5, 0.5, 0.99, 0.01, 0.5, fill=_WHITE)
            sign.polygon(0.5, 0.13, 0.87, 0.5, 0.5, 0.87, 0.13, 0.5, fill=_YELLOW)
        case 13:  # yield
            sign.pen.polygon(_regular(3, 0.56, math.pi), fill=_RED)
            sign.polygon(0.5, 0.82, 0.18, 0.3, 0.82, 0.3, fill=_WHITE)
        case 14:
            sign.pen.polygon(_regular(8, 0.52, math.pi / 8), fill=_RED)
            sign.text("STOP", 0.3, _WHITE)
        case 15:
            sign.prohibition()
        case 16:
            sign.prohibition()
            sign.lorry(0.5, 0.52, _BLACK)
        case 17:
            sign.disc(0.49, _RED)
            sign.line(0.16, 0.5, 0.84, 0.5, width=0.17, fill=_WHITE)
        case 32:
            sign.end()
        case 40:  # roundabout
            sign.mandatory()
            sign.pen.arc(_points(0.26, 0.26, 0.74, 0.74), 0, 290, fill=_WHITE, width=round(0.1 * _TEMPLATE))
            sign.polygon(0.5, 0.16, 0.5, 0.42, 0.74, 0.29, fill=_WHITE)
        case 41:
            sign.end()
            sign.car(0.36, 0.5, _GREY)
            sign.car(0.66, 0.5, _GREY)
        case _:
            sign.end()
            sign.lorry(0.34, 0.5, _GREY)
            sign.car(0.69, 0.5, _GREY)


@functools.cache
def template(label: int) -> Image.Image:
    """Draw the clean sign of a class, RGBA, 128 × 128, in the benchmark's order of classes."""
    sign = _Sign()
    if text := _LIMITS.get(label):
        sign.prohibition()
        sign.text(text, 0.42 if len(text) == 2 else 0.32)
    elif 18 <= label <= 31:
        _dangers(sign, label)
    elif label in _ARROWS:
        sign.mandatory()
        for coordinates in _ARROWS[label]:
            sign.arrow(*coordinates)
    else:
        _others(sign, label)
    return sign.image


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    """Draw a colour of streets: grey or green or blue, seldom saturated."""
    base = rng.uniform(30, 220)
    red, green, blue = np.clip(base + rng.normal(0, 28, 3), 0, 255).astype(int)
    return int(red), int(green), int(blue)


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
