"""Checkpoints as people have them load as PyTorch and the network's own library load them."""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from epsball.config import NetworkSpec
from epsball.data import arrays
from epsball.errors import EpsballError
from epsball.networks import checkpoints, model, state, user_factory, weights
from epsball.stages import build_network
from support.toys import COMPUTE
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torchvision import models


def spec(factory: str, **keys: object) -> NetworkSpec:
    return NetworkSpec(name="mine", dataset="d", factory=factory, **keys)  # type: ignore[arg-type]


def shuffled(module: nn.Module, seed: int = 3) -> nn.Module:
    """A module in eval mode with random values in all parameters and buffers, so that none is right by default."""
    torch.manual_seed(seed)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) * 0.1 + 0.05)
    return module.eval()


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return shuffled(models.resnet18(num_classes=7))


def logits(module: nn.Module, size: int = 32) -> Tensor:
    """Logits of torchvision's own network for images normalised as ImageNet's."""
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(part).view(-1, 1, 1) for part in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.inference_mode():
        return module((images - mean) / std)  # type: ignore[no-any-return]


def opened(saved: Any, path: Path, factory: str = "torchvision:resnet18", size: int = 32, **args: object) -> Tensor:
    """Logits of our network with what was saved, from the same images."""
    torch.save(saved, path)
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return model.build(spec(factory, weights=str(path), args=args))(images)  # type: ignore[no-any-return]


class Configuration(dict):  # type: ignore[type-arg]
    """A configuration as yacs has it: a dictionary with attributes."""


def forms(module: nn.Module) -> dict[str, tuple[Any, str]]:
    """A state dict in the forms in which people have it, and what is said of each."""
    plain = module.state_dict()
    adam = torch.optim.Adam(module.parameters())
    sum(part.sum() for part in module.parameters()).backward()  # type: ignore[union-attr]
    adam.step()
    adam.zero_grad()
    module.load_state_dict(plain := OrderedDict((name, value.clone()) for name, value in plain.items()))
    arguments = argparse.Namespace(lr=0.1, out=Path("runs"), best=np.float64(0.7))
    return {
        "before PyTorch 0.4.1": ({name: value for name, value in plain.items() if "num_batches" not in name}, ""),
        "imagenet example": (
            {"epoch": 90, "arch": "resnet18", "state_dict": plain, "optimizer": adam.state_dict()},
            "from 'state_dict'",
        ),
        "data parallel": (nn.DataParallel(module).state_dict(), "without the prefix 'module.'"),
        "compiled, data parallel": (
            {"model": {f"module._orig_mod.{name}": value for name, value in plain.items()}, "args": arguments},
            "from 'model', without the prefix 'module._orig_mod.'",
        ),
        "lightning": (
            {
                "state_dict": {f"net.model.{name}": value for name, value in plain.items()} | {"loss.w": torch.ones(2)},
                "hyper_parameters": Configuration(width=3),
            },
            "from 'state_dict', without the prefix 'net.model.', leaving out 1 other tensors, such as 'loss.w'",
        ),
        "openmmlab": (
            {"state_dict": {f"{'head' if 'fc' in name else 'backbone'}.{name}": one for name, one in plain.items()}},
            "from 'state_dict', without the prefix 'backbone.', without the prefix 'head.'",
        ),
        "robustness": (
            {
                "model": {
                    f"module.{prefix}model.{name}": one for name, one in plain.items() for prefix in ("", "attacker.")
                }
                | {"module.normalizer.new_mean": torch.ones(3)},
            },
            "leaving out",
        ),
        "averages that are equal": ({"model": plain, "model_ema": AveragedModel(module).state_dict()}, "from 'model'"),
        "half precision": ({name: one.half() if one.ndim else one for name, one in plain.items()}, ""),
        "parameters": (OrderedDict((name, nn.Parameter(one, False)) for name, one in plain.items()), ""),
    }


@pytest.mark.slow
def test_every_form_of_a_checkpoint_gives_torchvisions_logits_and_is_named(
    resnet: nn.Module, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, (saved, said) in forms(resnet).items():
        caplog.clear()
        found = opened(saved, tmp_path / "w.pth", num_classes=7)
        tolerance = 0.05 if name == "half precision" else 1e-4
        assert torch.allclose(found, logits(resnet), rtol=tolerance), name
        assert said in caplog.text, name
        assert bool(caplog.records) == bool(said), name


def test_safetensors_with_a_prefix(resnet: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({f"model.{name}": value for name, value in resnet.state_dict().items()}, path)
    made = model.build(spec("torchvision:resnet18", weights=str(path), args={"num_classes": 7}))
    assert state.loaded(made) == "without the prefix 'model.'"
    assert torch.equal(made.get_parameter("fc.weight"), resnet.get_parameter("fc.weight"))


@pytest.mark.slow
def test_the_card_says_how_weights_were_read(resnet: nn.Module, tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "pool.npz", images=images, labels=np.arange(6))
    torch.save({"model": nn.DataParallel(resnet).state_dict()}, tmp_path / "w.pth")
    own = spec("torchvision:resnet18", weights=str(tmp_path / "w.pth"), args={"num_classes": 7})
    card, pool = tmp_path / "card.json", arrays.load(tmp_path / "pool.npz")
    build_network.build_network(own, pool, None, COMPUTE, 1, tmp_path / "w.safetensors", card)
    assert json.loads(card.read_text())["weights_read"] == "from 'model', without the prefix 'module.'"


@pytest.mark.slow
def test_two_that_fit_are_asked_about(resnet: nn.Module, tmp_path: Path) -> None:
    average = AveragedModel(shuffled(models.resnet18(num_classes=7), seed=4))
    saved = {"model": resnet.state_dict(), "model_ema": average.state_dict(), "epoch": 3}
    with pytest.raises(EpsballError, match=r"hold several state dicts that fit: 'model', 'model_ema.module'; set args"):
        opened(saved, tmp_path / "w.pth", num_classes=7)
    found = opened(saved, tmp_path / "w.pth", num_classes=7, state_dict="model_ema")
    assert torch.allclose(found, logits(average.module), rtol=1e-4)
    assert torch.allclose(
        opened(saved, tmp_path / "w.pth", num_classes=7, state_dict="model"), logits(resnet), rtol=1e-4
    )
    with pytest.raises(EpsballError, match="nothing at args.state_dict, 'ema'"):
        opened(saved, tmp_path / "w.pth", num_classes=7, state_dict="ema")


def changed(state_dict: dict[str, Tensor], end: str, value: float) -> dict[str, Tensor]:
    return {name: one + value if name.endswith(end) else one for name, one in state_dict.items()}


@pytest.mark.slow
def test_buffers_tell_state_dicts_apart(resnet: nn.Module, tmp_path: Path) -> None:
    plain = resnet.state_dict()
    other = changed(plain, "running_mean", 1.0)
    with pytest.raises(EpsballError, match="several state dicts that fit: 'model', 'model_bn'"):
        opened({"model": plain, "model_bn": other}, tmp_path / "w.pth", num_classes=7)
    parameters = dict(resnet.named_parameters())
    longer = changed(plain, "num_batches_tracked", 1)
    for saved in ({"ema": parameters, "network": plain}, {"model": plain, "model_again": longer}):
        found = opened(saved, tmp_path / "w.pth", num_classes=7)
        assert torch.allclose(found, logits(resnet), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["optimizer.m", "optimizer_states.0", "adam.exp_avg", "opt_state.momentum_buffer"])
@pytest.mark.parametrize("flat", [False, True])
def test_what_an_optimiser_keeps_is_never_taken(resnet: nn.Module, tmp_path: Path, key: str, flat: bool) -> None:
    plain = resnet.state_dict()
    moments = {name: torch.zeros_like(one) for name, one in plain.items()}
    renamed = {name.replace("fc.bias", "fc.offset"): one for name, one in plain.items()}
    first, second = key.split(".")
    kept = {f"{key}.{name}": one for name, one in moments.items()} if flat else {first: {second: moments}}
    nothing = "have no 'conv1|hold no state dict|a name as of an optimiser's state"
    for model_state, sentence in ((renamed, "weights have no 'fc.bias'"), (None, nothing)):
        with pytest.raises(EpsballError, match=sentence):
            opened(kept | ({"model": model_state} if model_state else {}), tmp_path / "w.pth", num_classes=7)
    found = opened(kept | {"model": plain}, tmp_path / "w.pth", num_classes=7)
    assert torch.allclose(found, logits(resnet), rtol=1e-4)


def test_a_network_under_a_name_as_of_an_optimiser_is_taken_where_it_is_named(
    resnet: nn.Module, tmp_path: Path
) -> None:
    saved = {"model_opt": resnet.state_dict(), "epoch": 3}
    with pytest.raises(EpsballError, match="hold only 'model_opt', a name as of an optimiser's state"):
        opened(saved, tmp_path / "w.pth", num_classes=7)
    found = opened(saved, tmp_path / "w.pth", num_classes=7, state_dict="model_opt")
    assert torch.allclose(found, logits(resnet), rtol=1e-4)


@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.complex64])
@pytest.mark.parametrize("factory", ["torchvision:resnet18", "timm:resnet18"])
def test_numbers_of_another_kind_are_refused(
    resnet: nn.Module, tmp_path: Path, kind: torch.dtype, factory: str
) -> None:
    saved = {name: one.to(kind) if name == "fc.weight" else one for name, one in resnet.state_dict().items()}
    with pytest.raises(EpsballError, match=rf"weights 'fc.weight' are {str(kind)[6:]}, expected float32; give those"):
        opened(saved, tmp_path / "w.pth", factory, num_classes=7)


@pytest.mark.slow
def test_sparse_and_quantised_weights_are_refused_and_counters_in_half_precision_are_not(
    resnet: nn.Module, tmp_path: Path
) -> None:
    weight = resnet.get_parameter("fc.weight").detach()
    for made, kind in (
        (weight.to_sparse(), "sparse_coo"),
        (torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8), "quantised"),
    ):
        with pytest.raises(EpsballError, match=rf"weights 'fc.weight' are {kind}, expected plain numbers"):
            opened(resnet.state_dict() | {"fc.weight": made}, tmp_path / "w.pth", num_classes=7)
    halves = {name: one.half() for name, one in resnet.state_dict().items()}
    assert torch.allclose(opened(halves, tmp_path / "w.pth", num_classes=7), logits(resnet), rtol=0.05)


@pytest.mark.slow
def test_student_and_teacher_in_one_dictionary_are_asked_about(resnet: nn.Module, tmp_path: Path) -> None:
    other = shuffled(models.resnet18(num_classes=7), seed=4)
    saved = {
        f"{who}.{name}": one
        for who, part in (("student", resnet), ("teacher", other))
        for name, one in part.state_dict().items()
    }
    with pytest.raises(EpsballError, match="'student', 'teacher'"):
        opened(saved, tmp_path / "w.pth", num_classes=7)
    assert torch.allclose(
        opened(saved, tmp_path / "w.pth", num_classes=7, state_dict="teacher"), logits(other), rtol=1e-4
    )


@pytest.mark.slow
def test_densenets_dotted_names(tmp_path: Path) -> None:
    module = shuffled(models.densenet121())
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2.", name): one
        for name, one in module.state_dict().items()
        if "num_batches" not in name
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    for saved in (old, {"state_dict": {f"module.{name}": one for name, one in old.items()}}):
        assert torch.allclose(opened(saved, tmp_path / "w.pth", "torchvision:densenet121"), logits(module), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("wrapped", [False, True])
def test_an_old_mnasnet_changes_the_network_and_comes_back_from_a_run(tmp_path: Path, wrapped: bool) -> None:
    """The stem of version 1 is wider; torchvision rebuilds it if the state dict says its version."""
    module = models.mnasnet0_5()
    old = models.mnasnet1_0().layers[:8]
    for number in range(8):
        module.layers[number] = old[number]
    module.layers[8] = models.mnasnet._stack(16, 16, 3, 2, 3, 3, 0.1)
    module._version = 1
    shuffled(module)
    saved = nn.DataParallel(module).state_dict() if wrapped else module.state_dict()
    with pytest.warns(UserWarning, match="saved using the previous version"):
        found = opened(saved, tmp_path / "w.pth", "torchvision:mnasnet0_5")
    assert torch.allclose(found, logits(module), rtol=1e-4)
    ours = spec("torchvision:mnasnet0_5", weights=str(tmp_path / "w.pth"))
    with pytest.warns(UserWarning, match="saved using the previous version"):
        weights.save(model.build(ours), tmp_path / "kept.safetensors")
        restored = model.restore(ours, tmp_path / "kept.safetensors").module
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(restored(images), found)


def test_an_mnasnet_whose_file_says_no_version(tmp_path: Path) -> None:
    module = shuffled(models.mnasnet0_5())
    saved = dict(module.state_dict())
    with pytest.raises(ValueError, match="version should be set"):
        models.mnasnet0_5().load_state_dict(saved)
    assert torch.allclose(opened(saved, tmp_path / "w.pth", "torchvision:mnasnet0_5"), logits(module), rtol=1e-4)


@pytest.mark.slow
def test_vits_old_names_of_the_mlp(tmp_path: Path) -> None:
    module = shuffled(models.vit_b_16(image_size=32, num_classes=3))
    old = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): one
        for name, one in module.state_dict().items()
    }
    assert "encoder.layers.encoder_layer_0.mlp.linear_2.weight" in old
    saved = {"model": {f"module.{name}": one for name, one in old.items()}}
    found = opened(saved, tmp_path / "w.pth", "torchvision:vit_b_16", image_size=32, num_classes=3)
    assert torch.allclose(found, logits(module), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("googlenet", 64), ("inception_v3", 96)])
@pytest.mark.parametrize("heads", [False, True])
def test_networks_with_auxiliary_classifiers(tmp_path: Path, name: str, size: int, heads: bool) -> None:
    module = shuffled(models.get_model(name, aux_logits=heads, transform_input=True, init_weights=False))
    saved = {"state_dict": module.state_dict()}
    found = opened(saved, tmp_path / "w.pth", f"torchvision:{name}", size)
    assert torch.allclose(found, logits(module, size), rtol=1e-3)
    if heads:
        kept = opened(saved, tmp_path / "w.pth", f"torchvision:{name}", size, aux_logits=True, transform_input=False)
        module.transform_input = False  # type: ignore[assignment]
        assert torch.allclose(kept, logits(module, size), rtol=1e-3)


@pytest.mark.parametrize(
    ("saved", "sentence"),
    [
        (lambda net: net, "hold no state dict of tensors, as a whole module or NumPy's arrays are none; save"),
        (lambda net: {"epoch": 3}, "hold no state dict of tensors"),
        (lambda net: [torch.ones(2)], "hold no state dict of tensors"),
        (lambda net: {"model": models.resnet34(num_classes=7).state_dict()}, "hold 'layer1.2.conv1.weight', which"),
        (lambda net: models.resnet18(num_classes=9).state_dict(), r"'fc.weight' have shape \(9, 512\), expec"),
        (lambda net: nn.DataParallel(net.layer1).state_dict(), "have no 'conv1.weight'"),
        (lambda net: {"a": torch.ones(2)}, "have no 'conv1.weight'; known: a"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_one_sentence(
    resnet: nn.Module, tmp_path: Path, saved: Any, sentence: str
) -> None:
    with pytest.raises(EpsballError, match=f"w.pth: weights {sentence}") as caught:
        opened(saved(resnet), tmp_path / "w.pth", num_classes=7)
    assert "\n" not in str(caught.value)


def test_torchscript_given_as_weights(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "w.pt")
    with pytest.raises(EpsballError, match="hold a TorchScript module, not a state dict; .* 'torchscript:"):
        checkpoints.read(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is an empty file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n",
            "is a pointer of Git LFS, .*; run git lfs pull",
        ),
        (b"\xef\xbb\xbf \n<!DOCTYPE html><html>404</html>", "is a web page, .*; download it again"),
        (b"hello there, I am no weights", "cannot be read as a state dict .*expected a file of torch.save"),
        (b"\x89HDF\r\n\x1a\n", "cannot be read as a state dict .*expected a file of torch.save"),
    ],
)
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_what_is_no_file_of_weights_is_named(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EpsballError, match=rf"weights '.*{name}' {sentence}") as caught:
        checkpoints.read(tmp_path / name)
    assert "PyTorch 2.6" not in str(caught.value)


def test_the_content_of_a_file_counts_and_not_its_name(tmp_path: Path) -> None:
    held = {"w": torch.arange(3.0)}
    safetensors.torch.save_file(held, tmp_path / "w.pt")
    torch.save(held, tmp_path / "w.safetensors")
    for name in ("w.pt", "w.safetensors"):
        assert torch.equal(checkpoints.read(tmp_path / name)["w"], held["w"])


class Extra(nn.Linear):
    """A layer that keeps something beside tensors."""

    def get_extra_state(self) -> Any:
        return {"a": 1}

    def set_extra_state(self, state: Any) -> None:
        pass


def with_buffer(value: Tensor) -> nn.Module:
    module = nn.Linear(2, 2)
    module.register_buffer("held", value)
    return module


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: with_buffer(torch.eye(3).to_sparse()), "'held' of its state is a sparse_coo tensor"),
        (lambda: with_buffer(torch.eye(3).to_sparse_csr()), "'held' of its state is a sparse_csr tensor"),
        (lambda: with_buffer(torch.eye(3, device="meta")), "'held' of the network has no numbers \\(device meta\\)"),
        (lambda: with_buffer(torch.eye(3, dtype=torch.complex128)), "'held' of its state is of complex128, which a"),
        (lambda: Extra(2, 2), "'_extra_state' of its state is a dict, which get_extra_state gives"),
    ],
)
def test_a_state_that_a_run_cannot_keep_is_refused_when_the_network_is_built(
    monkeypatch: pytest.MonkeyPatch, make: Any, sentence: str
) -> None:
    monkeypatch.setattr(user_factory, "build", lambda *_: make())
    with pytest.raises(EpsballError, match=sentence):
        model.build(spec("mine.py:make"))


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return logging.FileHandler, (str(self.path),)


def test_a_file_runs_no_code(tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.ones(2)}, "args": _Touch(tmp_path / "touched")}, tmp_path / "w.pth")
    assert torch.equal(checkpoints.read(tmp_path / "w.pth")["model"]["w"], torch.ones(2))
    assert not (tmp_path / "touched").exists()
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert (tmp_path / "touched").exists(), "else this test shows nothing"


class Shared(nn.Module):
    """A network whose parts are reachable by several names."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3))
        self.features = self.backbone[:-1]
        self.head = self.backbone[-1]
        self.whole = nn.Parameter(torch.rand(6, 3))
        self.register_buffer("rows", self.whole.data[:3])

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images)) + self.rows.sum(0)  # type: ignore[operator,no-any-return]


def test_shared_tensors_come_back_from_a_run(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("from networks.test_checkpoints import Shared as make\n")
    own, module = spec(f"{tmp_path}/net.py:make"), shuffled(Shared())
    digest = weights.save(module, tmp_path / "w.safetensors")
    restored = model.restore(own, tmp_path / "w.safetensors")
    images = torch.rand(4, 3, 2, 2)
    assert torch.equal(restored.module(images), module(images))
    assert weights.digest(tmp_path / "w.safetensors") == digest
    assert weights.save(restored.module, tmp_path / "again.safetensors") == digest


def test_digests_of_all_kinds_of_numbers(tmp_path: Path) -> None:
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool)
    module = nn.Module()
    for number, kind in enumerate(kinds):
        module.register_buffer(f"b{number}", torch.ones((), dtype=kind))
    first = weights.save(module, tmp_path / "w.safetensors")
    assert first == weights.digest(tmp_path / "w.safetensors")
    module.get_buffer("b2").zero_()
    assert weights.save(module, tmp_path / "w.safetensors") != first


def test_weights_that_a_source_does_not_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EpsballError, match="weights 'w.pth' are not read by factory 'efficientnet-lite:0'"):
        model.open_network(spec("efficientnet-lite:0", weights="w.pth"))
