"""Networks in TorchScript and ONNX files, against the modules that they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import model, weights
from torch import Tensor, nn

IMAGES = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]


class Small(nn.Module):
    """A grouped convolution, a normalisation, a residual and a view: what files have to keep."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.body = nn.Conv2d(6, 6, 3, padding=2, dilation=2)
        self.fc = nn.Linear(6 * 64, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(images)))
        x = x + self.body(x)
        return self.fc(x.view(x.size(0), -1))  # type: ignore[no-any-return]


@pytest.fixture
def small() -> nn.Module:
    torch.manual_seed(2)
    module = Small()
    with torch.no_grad():
        for _ in range(5):
            module(torch.rand(8, 3, 16, 16))
    return module.eval()


def spec(factory: str, **args: object) -> NetworkSpec:
    return NetworkSpec("mine", "d", factory, args=args)


def scripted(module: nn.Module, path: Path) -> None:
    torch.jit.save(torch.jit.script(module), path)


def traced(module: nn.Module, path: Path) -> None:
    torch.jit.save(torch.jit.trace(module, IMAGES[:2]), path)  # type: ignore[no-untyped-call]


def require_same(made: model.Network, module: nn.Module, kept: Path, own: NetworkSpec) -> None:
    """Logits, features, their derivatives and what a run restores are the module's."""
    mean, std = (torch.tensor(part).view(-1, 1, 1) for part in (MEAN, STD))
    images = IMAGES.clone().requires_grad_()
    logits, features = made(images)
    expected = module((images - mean) / std)
    assert torch.allclose(logits, expected, atol=1e-5)
    assert features.shape == (4, 6 * 64)
    assert torch.allclose(module.get_submodule("fc")(features), expected, atol=1e-5)
    ours, theirs = (torch.autograd.grad(part[:, 1].sum(), images)[0] for part in (logits, expected))
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert made.double()(images.double())[0].dtype == torch.float64
    weights.save(made.float().module, kept)
    assert torch.equal(model.restore(own, kept)(images)[0], logits)


@pytest.mark.parametrize("write", [scripted, traced])
def test_torchscript(tmp_path: Path, small: nn.Module, write: Any) -> None:
    write(small, tmp_path / "net.pt")
    own = spec(f"torchscript:{tmp_path}/net.pt", mean=MEAN, std=STD, image_size=16)
    made = model.open_network(own)
    assert isinstance(made.module.get_submodule("body"), nn.Conv2d)
    require_same(made, small, tmp_path / "w.safetensors", own)


class Branching(nn.Module):
    """Code that depends on the values of an image."""

    def forward(self, images: Tensor) -> Tensor:
        if float(images.mean()) > 0.5:
            return images.flatten(1)
        return -images.flatten(1)


@pytest.mark.parametrize(
    ("factory", "args", "sentence"),
    [
        ("torchscript:gone.pt", {}, "factory's file 'gone.pt' does not exist"),
        (
            "torchscript:{}/net.pt",
            {},
            r"does not take images of 224 pixels \(args.image_size\), or PyTorch does not conv",
        ),
        ("torchscript:{}/net.pt", {"size": 3}, "takes the args mean and std, lists of three numbers, not size: 3"),
        ("torchscript:{}/bad.pt", {}, "cannot be read as TorchScript"),
        ("torchscript:{}/branch.pt", {}, "give the network by its Python code, as a factory"),
    ],
)
def test_torchscript_that_cannot_be_used(
    tmp_path: Path, small: nn.Module, factory: str, args: dict[str, object], sentence: str
) -> None:
    scripted(small, tmp_path / "net.pt")
    scripted(Branching(), tmp_path / "branch.pt")
    (tmp_path / "bad.pt").write_bytes(b"no")
    with pytest.raises(EpsballError, match=sentence) as caught:
        model.open_network(spec(factory.format(tmp_path), **args))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("opset", [13, 17, 20])
def test_onnx(tmp_path: Path, small: nn.Module, opset: int) -> None:
    pytest.importorskip("onnx2torch", reason="the package onnx2torch is optional")
    axes = {"x": {0: "n"}, "y": {0: "n"}}
    torch.onnx.export(
        small, (IMAGES[:2],), str(tmp_path / "net.onnx"), dynamo=False, input_names=["x"], output_names=["y"],
        dynamic_axes=axes, opset_version=opset,
    )  # fmt: skip
    own = spec(f"onnx:{tmp_path}/net.onnx", mean=MEAN, std=STD)
    require_same(model.open_network(own), small, tmp_path / "w.safetensors", own)


def test_onnx_that_cannot_be_used(tmp_path: Path) -> None:
    pytest.importorskip("onnx2torch", reason="the package onnx2torch is optional")
    (tmp_path / "bad.onnx").write_bytes(b"no")
    with pytest.raises(EpsballError, match="cannot be read as ONNX"):
        model.open_network(spec(f"onnx:{tmp_path}/bad.onnx"))
