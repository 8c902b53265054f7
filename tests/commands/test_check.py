"""What is found before any computing, all of it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from epsball.commands.cli import main
from epsball.commands.inspection import inspect, layers
from epsball.commands.preflight import check
from epsball.config import load_config
from epsball.errors import EpsballError
from PIL import Image
from support.toys import pictures

FACTORY = """
import torch
import yaml
from torch import nn

def make(outputs=3, weights=None):
    net = nn.Sequential(nn.Flatten(), nn.Linear(6 * 6 * 3, outputs))
    if weights:
        net.load_state_dict(torch.load(weights, weights_only=True))
    return net
"""


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "net.py").write_text(FACTORY)
    images, labels = pictures(6)
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    for number, picture in enumerate(images[:2]):
        folder = tmp_path / "tree" / ("ant", "bee")[number]
        folder.mkdir(parents=True)
        Image.fromarray(picture).save(folder / "0.png")
    return {
        "datasets": {"mine": {"kind": "arrays", "root": str(tmp_path / "data.npz")}},
        "networks": {"net": {"dataset": "mine", "factory": f"{tmp_path}/net.py:make"}},
    }


def test_a_probe_that_does_not_exist(raw: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EpsballError, match="extra_probes has 'alfa', no such probe; did you mean 'alpha'"):
        check(load_config({**raw, "extra_probes": ["alfa"]}), tmp_path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"extra_probes": ["frequency"]}, "networks.net: has no convolution to measure frequency by; leave it out"),
        (
            {"extra_probes": ["depth"], "white_box": {"layers": {"net": ["2"]}}},
            r"white_box.layers.net: layer '2' does not exist in the network; known: 0, 1\.",
        ),
    ],
)
def test_what_a_white_box_probe_needs(raw: dict[str, Any], tmp_path: Path, settings: Any, sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence):
        check(load_config({**raw, **settings}), tmp_path)


def test_layers_of_a_network_that_is_not_there(raw: dict[str, Any]) -> None:
    with pytest.raises(EpsballError, match=r"white_box.layers has 'nets', no network .*; did you mean 'net'\?"):
        load_config({**raw, "white_box": {"layers": {"nets": ["2"]}}})


def test_a_study_that_fits(raw: dict[str, Any], tmp_path: Path) -> None:
    table = check(load_config(raw), tmp_path)
    row = table.iloc[0].to_dict()
    assert row == {
        "network": "net",
        "dataset": "mine",
        "images": 6,
        "unusable": 0,
        "parameters": 3 * 108 + 3,
        "classes": 3,
        "units": 108,
        "height": 6,
        "width": 6,
    }


def test_labels_beyond_the_outputs(raw: dict[str, Any], tmp_path: Path) -> None:
    raw["networks"]["net"]["args"] = {"outputs": 2}
    with pytest.raises(EpsballError, match="has 2 outputs, but dataset 'mine' has labels from 0 to 2"):
        check(load_config(raw), tmp_path)


def test_class_lists_of_the_wrong_length(raw: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("ant\nbee\ncat\ndog\n")
    tree = {"kind": "imagefolder", "root": str(tmp_path / "tree"), "classes": str(tmp_path / "classes.txt")}
    raw["datasets"]["mine"] = tree
    with pytest.raises(EpsballError, match="has 3 outputs, but the class list of dataset 'mine' has 4 entries"):
        check(load_config(raw), tmp_path)


def test_weights_of_the_wrong_shape(raw: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"1.weight": torch.ones(4, 108), "1.bias": torch.ones(4)}, tmp_path / "w.pt")
    raw["networks"]["net"]["weights"] = str(tmp_path / "w.pt")
    with pytest.raises(EpsballError, match=r"networks.net: factory .* fails \(net.py, line \d+\): RuntimeError: .*"):
        check(load_config(raw), tmp_path)


def test_all_mistakes_at_once(raw: dict[str, Any], tmp_path: Path) -> None:
    for file in (tmp_path / "tree").rglob("*.png"):
        file.write_bytes(b"nothing")
    raw["datasets"]["tree"] = {"kind": "imagefolder", "root": str(tmp_path / "tree")}
    raw["networks"]["other"] = {"dataset": "tree", "factory": f"{tmp_path}/net.py:make", "layer": "7"}
    raw["networks"]["net"]["layer"] = "2"
    with pytest.raises(EpsballError) as caught:
        check(load_config(raw), tmp_path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "none of 2 images can be used" in lines[0]
    assert "networks.net: layer '2' does not exist" in lines[1]
    assert "networks.other: layer '7' does not exist" in lines[2]


ODD = """
import torch
import yaml
from torch import nn

class Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient

class Odd(nn.Module):
    # Has no forward derivative, no second backward one, and no convolution.
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6 * 6 * 3, 3)

    def forward(self, x):
        return self.head(Same.apply(x).flatten(1))

def make():
    torch.manual_seed(0)
    return Odd()
"""


@pytest.fixture
def odd(raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A study of which a network cannot do a probe and a control."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.py").write_text(ODD)
    raw["networks"]["odd"] = {"dataset": "mine", "factory": f"{tmp_path}/odd.py:make"}
    return {**raw, "radii": [1], "extra_probes": ["alpha", "expansion"], "controls": ["linearised", "identity"]}


@pytest.mark.slow
def test_each_probe_and_control_is_tried(odd: dict[str, Any]) -> None:
    _, _, refusals = inspect(load_config(odd), 4)
    assert [sentence.partition(" (")[0] for sentence in refusals] == [
        "networks.odd: probe 'expansion' cannot be measured",
        "networks.odd: control 'linearised' cannot be measured",
    ]
    assert all("PyTorch cannot differentiate the network" in sentence for sentence in refusals)
    odd["networks"]["odd"] |= {"extra_probes": ["alpha"], "controls": ["identity"]}
    assert not inspect(load_config(odd), 4)[2]


@pytest.mark.slow
def test_what_cannot_be_measured_stops_or_is_told(
    odd: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for on_failure, code in (("stop", 1), ("gap", 0)):
        (tmp_path / "odd.yaml").write_text(yaml.safe_dump({**odd, "on_failure": on_failure}))
        assert main(["check", "odd.yaml", "--images", "4"]) == code
        said = "".join(capsys.readouterr())
        assert "networks.odd: probe 'expansion' cannot be measured" in said
        assert ("Not available, and left as gaps" in said) == (on_failure == "gap")
        assert "Traceback" not in said


def test_a_gap_is_no_mistake_but_a_layer_that_is_not_there_is(raw: dict[str, Any], tmp_path: Path) -> None:
    gap = {**raw, "on_failure": "gap", "extra_probes": ["frequency", "depth"]}
    assert len(check(load_config(gap), tmp_path)) == 1
    with pytest.raises(EpsballError, match="layer '2' does not exist"):
        check(load_config({**gap, "white_box": {"layers": {"net": ["2"]}}}), tmp_path)


def test_a_probe_of_one_network_that_does_not_exist(raw: dict[str, Any], tmp_path: Path) -> None:
    for key, sentence in (
        ("extra_probes", r"networks.net.extra_probes has 'alfa', no such probe"),
        ("controls", r"networks.net.controls has 'alfa', no such control"),
    ):
        raw["networks"]["net"][key] = ["alfa"]
        with pytest.raises(EpsballError, match=sentence):
            check(load_config(raw), tmp_path)


LISTED = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.way = way
        self.conv = nn.Conv2d(3, 4, 3)
        self.zero = Zero()
        self.fc = nn.Linear(4 * 4 * 4, 3)
        if way == "script":
            self.conv = torch.jit.script(self.conv)

    def forward(self, x):
        if self.way == "fails":
            raise KeyError("no")
        x = self.conv(x)
        self.zero(x)
        return self.fc(x.view(len(x), -1))

class Zero(nn.Module):
    def forward(self, x):
        return x.sum()

def make(way):
    net = Net(way)
    return net.half() if way == "half" else net
"""


@pytest.mark.parametrize("way", ["view", "half", "script", "fails"])
def test_layers_of_every_network_are_listed_or_a_sentence_says_why_not(
    raw: dict[str, Any], tmp_path: Path, way: str
) -> None:
    (tmp_path / "listed.py").write_text(LISTED)
    net = {"dataset": "mine", "factory": f"{tmp_path}/listed.py:make", "args": {"way": way}, "layer": "gone"}
    config = load_config({**raw, "networks": {"net": net}})
    if way == "fails":
        with pytest.raises(EpsballError, match=r"networks.net: does not take an image of shape .*: KeyError: 'no'"):
            layers(config, "net")
        return
    rows = list(layers(config, "net").itertuples(index=False, name=None))
    conv = [("conv", "Conv2d", "4 × 4 × 4", 64)] if way != "script" else []
    assert rows == [*conv, ("zero", "Zero", "", 1), ("fc", "Linear", "3", 3)]


def test_accuracies_have_intervals_and_samples_are_counted_over_all_networks(
    raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = raw["networks"].pop("net")
    for never, name in enumerate(("never_red", "never_green")):
        brightness = torch.zeros(3, 3, 36)  # of each channel, for each output
        for label in {0, 1, 2} - {never}:
            brightness[label, label] = 50 / 36
        torch.save({"1.weight": brightness.view(3, 108), "1.bias": torch.zeros(3)}, tmp_path / f"{name}.pt")
        raw["networks"][name] = {**spec, "weights": str(tmp_path / f"{name}.pt")}
    table, hints, _ = inspect(load_config({**raw, "samples": 3}), 6)
    # Of six images, two of each label, a network is right on those of two labels; both are on those of one.
    assert table["accuracy"].tolist() == ["67% (22% to 96%)"] * 2
    assert table["sure"].tolist() == ["67% (22% to 96%) above 0.99"] * 2
    assert hints["datasets.mine"] == (
        "2 of 6 images are right above 0.99 in all of its 2 networks, so of 6 about 2 may be (0 to 5 at 95%); "
        "3 samples are asked for. Lower `threshold`, give more images, or do with fewer samples or networks."
    )
    alone = {**raw, "networks": {"net": raw["networks"]["never_red"]}}
    assert "datasets.mine" not in inspect(load_config(alone), 6)[1]
