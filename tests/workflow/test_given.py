"""What the user gave, replaced in ways that leave no newer file: redone where it matters, and only there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from support.example import write_data
from support.study import TINY, Study

pytestmark = pytest.mark.slow

# It reads `shift.npy` by itself, and keeps it where no state dict has it.
FACTORY = """
import numpy as np, torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = float(np.load("shift.npy"))
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
        )

    def forward(self, x):
        return self.net(x + self.shift)

def make(weights):
    made = Net()
    made.net.load_state_dict(torch.load(weights))
    return made
"""

MINE = {"dataset": "photos", "factory": "own.py:make", "weights": "weights.pt"}
CONFIG: dict[str, Any] = {
    **TINY,
    "run": "given",
    "threshold": 0.35,
    "datasets": {"photos": {"kind": "imagefolder", "root": "photos", "classes": "classes.txt"}},
    "networks": {"mine": MINE},
}
TARGET = "results/given/samples/photos.csv"


def _scores(folder: Path, weights: str, images: pd.Series, labels: pd.Series) -> list[float]:
    """The scores by the definition, an image at a time."""
    state = torch.load(folder / weights)
    shift = float(np.load(folder / "shift.npy"))
    found = []
    for image, label in zip(images, labels, strict=True):
        pixels = np.asarray(Image.open(folder / "photos" / image)).astype(np.float32) / 255
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None] + shift
        x = torch.conv2d(x, state["0.weight"], state["0.bias"]).relu().mean((2, 3))
        found.append(float((x @ state["4.weight"].T + state["4.bias"]).double().softmax(1)[0, label]))
    return found


def _age(path: Path) -> None:
    os.utime(path, (1e9, 1e9))


@pytest.mark.fault(
    "weights, arrays and class lists replaced by older files; images added before a second network",
    "noticed; tables are joined by image",
)
def test_files_replaced_by_older_ones_and_images_added_before_a_second_network(study: Study) -> None:
    folder = study.folder

    def require_scores(name: str, weights: str) -> None:
        samples = pd.read_csv(folder / TARGET)
        expected = _scores(folder, weights, samples["image"], samples["label"])
        np.testing.assert_allclose(samples[f"score_{name}"], expected, rtol=1e-5)

    everything = {"networks/mine/weights.safetensors", "networks/mine/card.json", "survey/photos/mine.parquet"}
    made = study.run(CONFIG, TARGET)
    assert everything <= made
    require_scores("mine", "weights.pt")

    for name in ("weights.pt", "classes.txt", "own.py", "shift.npy"):
        (folder / name).touch()
    for path in (folder / "photos").rglob("*.png"):
        path.touch()
    assert study.run(CONFIG, TARGET) == set()

    shutil.copy(folder / "weights.pt", folder / "first.pt")
    shutil.copy2(folder / "older.pt", folder / "weights.pt")
    assert everything <= study.run(CONFIG, TARGET)
    require_scores("mine", "weights.pt")

    np.save(folder / "shift.npy", 0.25)
    _age(folder / "shift.npy")
    assert everything <= study.run(CONFIG, TARGET)
    require_scores("mine", "weights.pt")
    assert study.run(CONFIG, TARGET) == set()

    for number, path in enumerate(sorted((folder / "photos").rglob("*.png"))[:5]):
        shutil.copy(path, path.with_name(f"000{number}.png"))  # a name before all others
        pixels = np.asarray(Image.open(path)).copy()
        pixels[0, 0] = number
        Image.fromarray(pixels).save(path.with_name(f"000{number}.png"))
        _age(path.with_name(f"000{number}.png"))
        _age(path.parent)
    two = {**CONFIG, "samples": 40, "networks": {"mine": MINE, "second": {**MINE, "weights": "first.pt"}}}
    study.run(two, TARGET)
    samples = pd.read_csv(folder / TARGET)
    assert samples["image"].str.contains("000").any()
    require_scores("mine", "weights.pt")
    require_scores("second", "first.pt")


DATASET = """
import numpy as np

class Lazy:
    def __len__(self):
        return 24

    def __getitem__(self, number):
        with np.load("squares.npz") as held:
            return held["images"][number], int(held["labels"][number])

def make():
    return Lazy()
"""


@pytest.mark.fault("images that a dataset of one's own reads, replaced", "noticed")
def test_images_that_a_dataset_reads_by_itself(study: Study) -> None:
    (study.folder / "images.py").write_text(DATASET)
    squares = {"kind": "factory", "factory": "images.py:make"}
    config = {**TINY, "run": "lazy", "datasets": {"squares": squares}}
    target = "results/lazy/samples/squares.csv"
    study.run(config, target)
    assert study.run(config, target) == set()
    before = pd.read_csv(study.folder / target)
    path = study.folder / "squares.npz"
    with np.load(path) as held:
        images, labels = held["images"], held["labels"]
    images[:, 0, 0] ^= 1
    np.savez(path, images=images, labels=labels)
    _age(path)
    assert "survey/squares/one.parquet" in study.run(config, target)
    after = pd.read_csv(study.folder / target)
    assert not set(before["digest"]) & set(after["digest"])
    assert study.run(config, target) == set()


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Photographs, two sets of weights, the second of them old, and what the factory reads by itself."""
    made = Study(tmp_path, warm=True)
    write_data(tmp_path)
    state = torch.load(tmp_path / "weights.pt")
    torch.save({**state, "4.weight": 0.7 * state["4.weight"]}, tmp_path / "older.pt")
    _age(tmp_path / "older.pt")
    (tmp_path / "own.py").write_text(FACTORY)
    np.save(tmp_path / "shift.npy", 0.0)
    return made
