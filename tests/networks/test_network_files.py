"""Networks in TorchScript and ONNX files, against the modules that they were made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import model, original, sources, weights
from epsball.networks.copying import copy_module
from epsball.networks.forward import Forward
from support.toys import COMPUTE
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


@pytest.mark.slow
@pytest.mark.parametrize("write", [scripted, traced])
def test_torchscript(tmp_path: Path, small: nn.Module, write: Any) -> None:
    write(small, tmp_path / "net.pt")
    own = spec(f"torchscript:{tmp_path}/net.pt", mean=MEAN, std=STD, image_size=16.0)
    made = model.open_network(own)
    assert isinstance(made.module.get_submodule("body"), nn.Conv2d)
    require_same(made, small, tmp_path / "w.safetensors", own)


class Sized(nn.Module):
    """A network of images of any size, in one of the ways in which code depends on the size."""

    def __init__(self, way: int) -> None:
        super().__init__()
        self.way = way
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.way == 1 and x.shape[2] > 10:
            x = 2 * x
        if self.way == 2:
            x = nn.functional.pad(x, [0, (16 - x.shape[3] % 16) % 16, 0, (16 - x.shape[2] % 16) % 16])
        if self.way == 3:
            x = nn.functional.interpolate(x, scale_factor=2.0)
        f = torch.relu(self.conv(x))
        if self.way == 0:
            return self.fc(f.sum((2, 3)) / (f.shape[2] * f.shape[3]))  # type: ignore[no-any-return]
        return self.fc(f.mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("way", range(4))
def test_torchscript_whose_code_depends_on_the_size_is_compared_at_the_size_of_the_images(
    tmp_path: Path, way: int
) -> None:
    torch.manual_seed(5)
    module = Sized(way).eval()
    scripted(module, tmp_path / "net.pt")
    made, right = (model.open_network(spec(f"torchscript:{tmp_path}/net.pt", image_size=side)) for side in (16, 8))
    images = IMAGES[:, :, 4:12, 4:12]
    assert torch.allclose(made(IMAGES)[0], module(IMAGES), atol=1e-5)
    assert torch.allclose(right(images)[0], module(images), atol=1e-5)
    for one in (made, copy_module(made)):
        with pytest.raises(EpsballError, match=r"16 × 16 pixels .* 8 × 8 pixels; set args.image_size to 8, or"):
            one(images)
    along = torch.ones_like(images)
    derived: Any = torch.func.jvp(lambda x: right(x)[0], (images,), (along,))
    assert torch.allclose(derived[0], module(images), atol=1e-5)
    assert copy_module(right).double()(images.double())[0].dtype == torch.float64


def test_torchscript_is_run_once_a_shape_and_not_compared_with_other_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(Sized(4).eval(), tmp_path / "net.pt")
    made = model.open_network(spec(f"torchscript:{tmp_path}/net.pt", image_size=16))
    shapes: list[int] = []
    compare = original.Original.require_same

    def counting(self: original.Original, images: Tensor, expected: Any, found: Any) -> None:
        shapes.append(len(images))
        compare(self, images, expected, found)

    monkeypatch.setattr(original.Original, "require_same", counting)
    other = copy_module(made)
    other.get_parameter("module.fc.weight").zero_()
    for network, count in ((made, 4), (made, 4), (made, 3), (other, 2), (copy_module(made), 4)):
        network(IMAGES[:count])
    assert shapes == [1, 4, 3]  # the first finds the classification layer


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_a_copy_of_a_converted_network_is_normalised_too(tmp_path: Path, small: nn.Module, kind: str) -> None:
    if kind == "onnx":
        exported(small, tmp_path / "net.pt")
    else:
        scripted(small, tmp_path / "net.pt")
    args = {"image_size": 16} if kind == "torchscript" else {}
    made = model.open_network(spec(f"{kind}:{tmp_path}/net.pt", mean=MEAN, std=STD, **args))
    for one in (made, Forward(made, COMPUTE)):  # the latter has them in another layout
        logits, features = one(IMAGES)
        again = copy_module(made)(IMAGES)
        assert torch.allclose(again[0], logits, atol=1e-5)
        assert torch.allclose(again[1], features, atol=1e-5)
    assert torch.allclose(Forward(made, COMPUTE).float64(IMAGES)[0].float(), logits, atol=1e-5)


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
        ("torchscript:{}/net.pt", {"image_size": "32"}, "args.image_size is '32', expected pixels, such as 224"),
        ("torchscript:{}/net.pt", {"image_size": -4}, "args.image_size is -4, expected pixels"),
        ("torchscript:{}/net.pt", {"image_size": [32, 32]}, r"args.image_size is \[32, 32\], expected pixels"),
        ("torchscript:{}/net.pt", {"std": [0.25, 0, 1]}, r"args.std is \[0.25, 0, 1\], expected numbers other than 0"),
        ("torchscript:{}/bad.pt", {}, "cannot be read as TorchScript"),
        ("torchscript:{}/page.pt", {}, "factory's file '.*page.pt' is a web page, as of a failed download; download"),
        ("torchscript:{}/branch.pt", {}, "give the network by its Python code, as a factory"),
    ],
)
def test_torchscript_that_cannot_be_used(
    tmp_path: Path, small: nn.Module, factory: str, args: dict[str, object], sentence: str
) -> None:
    scripted(small, tmp_path / "net.pt")
    scripted(Branching(), tmp_path / "branch.pt")
    (tmp_path / "bad.pt").write_bytes(b"no")
    (tmp_path / "page.pt").write_text("\n<!DOCTYPE html>")
    with pytest.raises(EpsballError, match=sentence) as caught:
        model.open_network(spec(factory.format(tmp_path), **args))
    assert "\n" not in str(caught.value)


def exported(module: nn.Module, path: Path, opset: int = 17, axes: dict[int, str] | None = None) -> None:
    pytest.importorskip("onnx2torch", reason="the package onnx2torch is optional")
    torch.onnx.export(
        module, (IMAGES[:2],), str(path), dynamo=False, input_names=["x"], output_names=["y"],
        dynamic_axes={"x": axes or {0: "n"}, "y": {0: "n"}}, opset_version=opset,
    )  # fmt: skip


@pytest.mark.parametrize("axes", [None, {0: "n", 2: "height", 3: "width"}])
def test_onnx_of_one_size_or_of_any(tmp_path: Path, axes: dict[int, str] | None) -> None:
    module = Sized(0).eval()
    exported(module, tmp_path / "net.onnx", axes=axes)
    made = model.open_network(spec(f"onnx:{tmp_path}/net.onnx"))
    assert torch.allclose(made(IMAGES)[0], module(IMAGES), atol=1e-5)
    images = IMAGES[:, :, 4:12, 4:12]
    if axes is not None:
        assert torch.allclose(made(images)[0], module(images), atol=1e-5)
        return
    with pytest.raises(EpsballError, match=r"was exported for images of 16 × 16 pixels, and the dataset's have 8 × 8"):
        made(images)


@pytest.mark.parametrize("opset", [13, 17, 20])
def test_onnx(tmp_path: Path, small: nn.Module, opset: int) -> None:
    exported(small, tmp_path / "net.onnx", opset)
    own = spec(f"onnx:{tmp_path}/net.onnx", mean=MEAN, std=STD)
    require_same(model.open_network(own), small, tmp_path / "w.safetensors", own)


def test_files_that_an_onnx_file_keeps_weights_in_count(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    long = "w" * 200
    entries = (
        {"location": "net.onnx.data", "offset": "0"},
        {"location": "gone"},
        {"location": long},
        {"location": "c.w"},
    )
    for name in ("net.onnx.data", long, "c.w", "other"):
        (tmp_path / name).write_bytes(b"1")
    assert sources.own_files(spec(f"onnx:{path}")) == []
    path.write_bytes(b"")
    assert sources.own_files(spec(f"onnx:{path}")) == [path]
    messages = []
    for entry in entries:  # TensorProto.external_data, field 13, of StringStringEntryProto, by the standard of protobuf
        for key, value in entry.items():
            size = bytes([len(value)] if len(value) < 128 else [len(value) % 128 + 128, len(value) // 128])
            pair = b"\x0a" + bytes([len(key)]) + key.encode() + b"\x12" + size + value.encode()
            messages.append(b"\x6a" + bytes([len(pair) % 256]) + pair)
    path.write_bytes(b"\x08\x09".join(messages) + b"\x0a\x08location\x12")  # and cut
    own = spec(f"onnx:{path}")
    assert sources.own_files(own) == [tmp_path / "c.w", path, tmp_path / "net.onnx.data", tmp_path / long]
    before = sources.files_digest(own)
    (tmp_path / "net.onnx.data").write_bytes(b"2")
    assert sources.files_digest(own) != before


def test_an_onnx_file_with_its_weights_in_another(tmp_path: Path, small: nn.Module) -> None:
    exported(small, tmp_path / "net.onnx")
    onnx = pytest.importorskip("onnx")
    whole = model.open_network(spec(f"onnx:{tmp_path}/net.onnx"))(IMAGES)[0]
    onnx.save(onnx.load(tmp_path / "net.onnx"), tmp_path / "two.onnx", save_as_external_data=True, size_threshold=0)
    own = spec(f"onnx:{tmp_path}/two.onnx")
    assert torch.equal(model.open_network(own)(IMAGES)[0], whole)
    assert len(sources.own_files(own)) > 1


def test_onnx_that_its_converter_makes_another_network_of(
    tmp_path: Path, small: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(small, tmp_path / "net.onnx")
    convert = pytest.importorskip("onnx2torch").convert

    def otherwise(read: object) -> nn.Module:
        module: nn.Module = convert(read)
        list(module.parameters())[-1].data[0] += 0.01
        return module

    monkeypatch.setattr("onnx2torch.convert", otherwise)
    with pytest.raises(EpsballError, match="onnx2torch makes another network of it, whose outputs differ by 0.0"):
        model.open_network(spec(f"onnx:{tmp_path}/net.onnx"))


def test_onnx_that_cannot_be_used(tmp_path: Path) -> None:
    pytest.importorskip("onnx2torch", reason="the package onnx2torch is optional")
    (tmp_path / "bad.onnx").write_bytes(b"no")
    with pytest.raises(EpsballError, match="cannot be read as ONNX"):
        model.open_network(spec(f"onnx:{tmp_path}/bad.onnx"))
