"""Local files of timm's networks load as timm loads them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import model, state
from torch import Tensor, nn

pytestmark = pytest.mark.slow

timm = pytest.importorskip("timm", reason="the package timm is optional")

IMAGES = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(2))


def build(name: str, path: Path, **args: object) -> nn.Module:
    return model.build(NetworkSpec("mine", "d", f"timm:{name}", args=args, weights=str(path)))


def made(name: str, **args: object) -> Any:
    torch.manual_seed(5)
    module = timm.create_model(name, pretrained=False, **args).eval()
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(torch.randn_like(tensor) * 0.02)
    return module


def same(ours: nn.Module, theirs: Any, images: Tensor = IMAGES) -> bool:
    mean, std = (torch.tensor(theirs.pretrained_cfg[key]).view(-1, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        return torch.allclose(ours(images), theirs((images - mean) / std), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("args", [{}, {"num_classes": 7}])
def test_a_fine_tuned_head_is_loaded(tmp_path: Path, args: dict[str, int]) -> None:
    """Timm's own `pretrained_cfg_overlay` would leave a head of another size random."""
    module = made("mobilenetv3_small_050", **args)
    torch.save({"state_dict": module.state_dict(), "args": argparse.Namespace(lr=1)}, tmp_path / "w.pth")
    assert same(build("mobilenetv3_small_050", tmp_path / "w.pth", **args), module, IMAGES[:, :, :64, :64])


@pytest.mark.parametrize("classes", [1000, 7])
def test_names_of_the_original_project_are_converted_by_timm(tmp_path: Path, classes: int) -> None:
    """ConvNeXt as its authors published it: {'model': ...} under Meta's names."""
    module = made("convnext_atto", num_classes=classes)
    replaced = {"stem.": "downsample_layers.0.", "head.fc.": "head.", "head.norm.": "norm.", "conv_dw.": "dwconv."}
    original = {}
    for key, value in module.state_dict().items():
        name = key
        for new, old in replaced.items():
            name = name.replace(new, old)
        name = name.replace("mlp.fc1.", "pwconv1.").replace("mlp.fc2.", "pwconv2.")
        parts = name.split(".")
        if parts[0] == "stages":
            name = ".".join(
                ["stages", parts[1], *parts[3:]]
                if parts[2] == "blocks"
                else ["downsample_layers", parts[1], *parts[3:]]
            )
        original[name] = value
    torch.save({"model": original, "epoch": np.int64(3)}, tmp_path / "w.pth")
    ours = build("convnext_atto", tmp_path / "w.pth", num_classes=classes)
    assert same(ours, module)
    assert state.loaded(ours) == "from 'model', as timm converts files of other projects"
    torch.save({"model": original, "model_ema": original}, tmp_path / "w.pth")
    with pytest.raises(EpsballError, match="several state dicts that fit: 'model', 'model_ema'; set args.state_dict"):
        build("convnext_atto", tmp_path / "w.pth", num_classes=classes)


def test_deits_file_and_another_size_of_images(tmp_path: Path) -> None:
    """{'model': ...} with a Namespace beside; timm resamples the position embedding for other sizes."""
    module = made("deit_tiny_patch16_224")
    torch.save({"model": module.state_dict(), "args": argparse.Namespace(lr=1)}, tmp_path / "w.pth")
    assert same(build("deit_tiny_patch16_224", tmp_path / "w.pth"), module)
    larger = build("deit_tiny_patch16_224", tmp_path / "w.pth", img_size=256)
    expected = timm.create_model("deit_tiny_patch16_224", img_size=256)
    timm.models.load_checkpoint(
        expected, str(tmp_path / "w.pth"), filter_fn=timm.models.vision_transformer.checkpoint_filter_fn
    )
    assert same(larger, expected.eval(), torch.rand(1, 3, 256, 256))


def test_files_that_hold_no_state_dict(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.ones(3))
    for name in ("resnet18", "vit_tiny_patch16_224"):  # without a loader of JAX's files, and with one
        with pytest.raises(EpsballError, match=f"factory 'timm:{name}' fails"):
            build(name, tmp_path / "w.npz")
    torch.save([torch.ones(2)], tmp_path / "w.pth")
    with pytest.raises(EpsballError, match="hold no state dict of tensors"):
        build("resnet18", tmp_path / "w.pth")
    with pytest.raises(EpsballError, match="weights '.*gone.pth' do not exist"):
        build("resnet18", tmp_path / "gone.pth")


def test_a_file_of_another_network_is_refused_also_where_timm_is_not_strict(tmp_path: Path) -> None:
    """Timm loads DLA without looking at what is missing: a wrong file would give a random network."""
    torch.save(made("mobilenetv3_small_050").state_dict(), tmp_path / "w.pth")
    for name in ("dla34", "convnext_atto"):
        with pytest.raises(EpsballError, match="w.pth: weights have no '"):
            build(name, tmp_path / "w.pth")
