"""The command line, on the tutorial of the README: a network and data of one's own, by configuration alone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT, pictures
from epsball.cli import main
from PIL import Image
from torch import nn


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The README's tutorial, its blocks written to the files that it names, with data and weights that fit."""
    monkeypatch.chdir(tmp_path)
    section = (ROOT / "README.md").read_text().split("## Your own network")[1].split("\n## ")[0]
    blocks = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", section, re.DOTALL)
    assert {name for name, _ in blocks} == {"mine.py", "mine.yaml"}
    for name, text in blocks:
        Path(name).write_text(text)
    images, labels = pictures(60, size=32, seed=3)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = tmp_path / "photos" / ("red", "green", "blue")[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((40, 36)).save(folder / f"{number}.png")
    Path("classes.txt").write_text("red\ngreen\nblue\n")
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    weight, head = torch.zeros(8, 3, 3, 3), torch.zeros(3, 8)
    for channel in range(3):
        weight[channel, channel], head[channel, channel] = 1 / 9, 8.0
    net.load_state_dict(
        {"0.weight": weight, "0.bias": torch.ones(8), "4.weight": head, "4.bias": torch.zeros(3)}, strict=True
    )
    torch.save(net.state_dict(), "weights.pt")
    return tmp_path


def test_check_shows_a_network_that_fits(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.yaml"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    found = dict(zip(header.split(), row.split(maxsplit=8), strict=True))
    assert (found["network"], found["dataset"], found["images"]) == ("mine", "photos", "40")
    assert (found["parameters"], found["units"], found["classes"]) == (str(8 * 28 + 27), "8", "3")
    assert found["accuracy"] == "100%"


@pytest.mark.parametrize(
    ("step", "accuracy", "sentence"),
    [
        ("x.flip(1)", "32%", "mine: 32% right, but 100% with channels reversed: its factory seems to expect BGR"),
        ("x / 255", None, "100% with values from 0 to 255: its factory seems to expect values from 0 to 255"),
        ("x.flip(1) / 255", None, "100% with channels reversed and values from 0 to 255: its factory seems to expect"),
    ],
)
def test_check_recognises_what_a_network_expects(
    tutorial: Path, capsys: pytest.CaptureFixture[str], step: str, accuracy: str | None, sentence: str
) -> None:
    text = Path("mine.py").read_text()
    assert "(x - 0.5)" in text
    Path("mine.py").write_text(text.replace("(x - 0.5)", f"({step} - 0.5)"))
    # A small offset of one output decides where all channels are nearly black.
    state = torch.load("weights.pt", weights_only=True)
    state["4.bias"] = torch.tensor([0.0, 0.05, 0.0])
    torch.save(state, "weights.pt")
    assert main(["check", "mine.yaml"]) == 0
    shown = capsys.readouterr().out
    assert accuracy is None or f" {accuracy}" in shown
    assert sentence in shown


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        ("none\nred\ngreen\nblue\n", "mine: 0% right, but 100% with 1 taken from each label: the labels seem to"),
        ("red\ngreen\nblue\nnone\n", "mine: 0% right, but 100% with 1 added to each label: the network's outputs"),
    ],
)
def test_check_recognises_labels_off_by_one(
    tutorial: Path, capsys: pytest.CaptureFixture[str], classes: str, sentence: str
) -> None:
    state = torch.load("weights.pt", weights_only=True)
    head = torch.zeros(4, 8)
    order = (0, 1, 2) if classes.startswith("none") else (1, 2, 3)
    head[list(order), range(3)] = 8.0
    state["4.weight"], state["4.bias"] = head, torch.zeros(4)
    torch.save(state, "weights.pt")
    Path("mine.py").write_text(Path("mine.py").read_text().replace("nn.Linear(width, 3)", "nn.Linear(width, 4)"))
    Path("classes.txt").write_text(classes)
    assert main(["check", "mine.yaml"]) == 0
    assert sentence in capsys.readouterr().out


@pytest.mark.parametrize("bias", [[0.0, 0.0, 1e6], None])
def test_check_is_silent_about_a_network_that_guesses(
    tutorial: Path, capsys: pytest.CaptureFixture[str], bias: list[float] | None
) -> None:
    """One that gives the rarest class to everything, right more often with other labels; and one without training."""
    for path in sorted(Path("photos/blue").glob("*.png"))[3:]:
        path.rename(Path("photos/green") / path.name)
    state = torch.load("weights.pt", weights_only=True)
    if bias is None:
        state = {
            name: torch.randn(values.shape, generator=torch.Generator().manual_seed(4))
            for name, values in state.items()
        }
    else:
        state["4.bias"] = torch.tensor(bias)
    torch.save(state, "weights.pt")
    assert main(["check", "mine.yaml"]) == 0
    assert "right, but" not in capsys.readouterr().out


def test_check_lists_layers_with_shapes(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.yaml", "--layers", "mine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "module", "shape", "units"]
    named = {line.split()[0]: line for line in lines[1:]}
    configured = yaml.safe_load(Path("mine.yaml").read_text())["networks"]["mine"]["layer"]
    assert named[configured].split()[-1] == "8"
    assert named["net.0"].split() == ["net.0", "Conv2d", "8", "×", "30", "×", "30", "7200"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "gone.yaml"], "error: configuration 'gone.yaml' cannot be read"),
        (["check", "mine.yaml", "--layers", "min"], "error: --layers is 'min', no network of the configuration; did"),
        (["check", "weights.pt"], "error: configuration 'weights.pt' is not YAML"),
    ],
)
def test_mistakes_are_one_sentence(
    tutorial: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    Path("weights.pt").write_text("a: [")
    assert main(arguments) == 1
    assert sentence in capsys.readouterr().err


def test_a_broken_image_is_named_and_counted(tutorial: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tutorial / "photos" / "red" / "0.png").write_bytes(np.random.default_rng(1).bytes(50))
    assert main(["check", "mine.yaml", "--images", "100"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[2] == "60"
