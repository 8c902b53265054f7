"""The example of the page on one's own network, with data and weights that fit."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from support.toys import pictures


def write_example(page: str, folder: Path) -> None:
    """Write a page's blocks to the files that they name."""
    blocks = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", page, re.DOTALL)
    assert {name for name, _ in blocks} == {"mine.py", "mine.yaml"}
    for name, text in blocks:
        (folder / name).write_text(text)


def write_data(folder: Path, count: int = 60) -> None:
    """Photographs, their class list, and weights of the example's network that are right on them."""
    images, labels = pictures(count, size=32, seed=3)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / "photos" / ("red", "green", "blue")[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((40, 36)).save(place / f"{number}.png")
    (folder / "classes.txt").write_text("red\ngreen\nblue\n")
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    weight, head = torch.zeros(8, 3, 3, 3), torch.zeros(3, 8)
    for channel in range(3):
        weight[channel, channel], head[channel, channel] = 1 / 9, 8.0
    net.load_state_dict(
        {"0.weight": weight, "0.bias": torch.ones(8), "4.weight": head, "4.bias": torch.zeros(3)}, strict=True
    )
    torch.save(net.state_dict(), folder / "weights.pt")
