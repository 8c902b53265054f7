"""Image classifiers of transformers, from a folder, against the library's own classes and image processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import model, sources, weights

transformers = pytest.importorskip("transformers", reason="the package transformers is optional")

VIT = {
    "image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "num_labels": 5,
}  # fmt: skip
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic", "num_labels": 5}
MOBILEVIT = {
    "image_size": 64, "hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 32], "num_labels": 5,
    "num_attention_heads": 2,
}  # fmt: skip
EFFICIENTNET = {
    "image_size": 32,
    "width_coefficient": 0.2,
    "depth_coefficient": 0.2,
    "hidden_dim": 256,
    "num_labels": 5,
}
KINDS: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "ViT": (VIT, "ViTImageProcessor", {"size": {"height": 32, "width": 32}}),
    "ResNet": (RESNET, "ConvNextImageProcessor", {"size": {"shortest_edge": 32}, "crop_pct": 1.0}),
    "MobileViT": (MOBILEVIT, "MobileViTImageProcessor", {"size": {"shortest_edge": 64}, "crop_size": 64}),
    "EfficientNet": (EFFICIENTNET, "EfficientNetImageProcessor", {"size": {"height": 32, "width": 32}}),
}


def saved(kind: str, folder: Path, dtype: torch.dtype = torch.float32, **options: object) -> tuple[Any, Any]:
    """A small model of a kind with random weights, and its image processor, both in the folder."""
    configuration, processor_class, processing = KINDS[kind]
    torch.manual_seed(1)
    config = getattr(transformers, f"{kind}Config")(**configuration)
    module = getattr(transformers, f"{kind}ForImageClassification")(config).eval()
    module.to(dtype).save_pretrained(folder)
    processor = getattr(transformers, processor_class)(**processing, **options)
    processor.save_pretrained(folder)
    return module, processor


def spec(folder: Path) -> NetworkSpec:
    return NetworkSpec("mine", "d", f"transformers:{folder}")


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_the_librarys_own(tmp_path: Path, kind: str) -> None:
    """Among them processors that rescale to [-1, 1], normalise twice and take BGR."""
    module, processor = saved(kind, tmp_path)
    side = 64 if kind == "MobileViT" else 32
    pictures = np.random.default_rng(1).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    ours = model.open_network(spec(tmp_path))
    with torch.inference_mode():
        expected = module(**processor(images=list(pictures), return_tensors="pt")).logits
        found, features = ours.eval()(images)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert features.shape[0] == 3
    weights.save(ours.module, tmp_path / "w.safetensors")
    with torch.inference_mode():
        assert torch.equal(model.restore(spec(tmp_path), tmp_path / "w.safetensors")(images)[0], found)


def test_a_model_saved_in_half_precision_is_computed_in_float32(tmp_path: Path) -> None:
    saved("ViT", tmp_path, torch.bfloat16)
    made = model.build(spec(tmp_path))
    assert {part.dtype for part in made.parameters()} == {torch.float32}
    assert {part.dtype for part in model.build(spec(tmp_path), pretrained=False).parameters()} == {torch.float32}


def test_a_backbone_without_its_head_is_refused(tmp_path: Path) -> None:
    """Transformers would give it a random head."""
    module, _ = saved("ViT", tmp_path)
    module.vit.save_pretrained(tmp_path)
    with pytest.raises(EpsballError, match=r"has no weights for 'classifier.bias' of ViTForImageClassification"):
        model.open_network(spec(tmp_path))


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    saved("ViT", tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(EpsballError, match="has no image processor, which has the normalisation"):
        model.open_network(spec(tmp_path))
    with pytest.raises(EpsballError, match="folder '.*gone' does not exist"):
        model.open_network(spec(tmp_path / "gone"))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(EpsballError, match="factory '.*' fails: Unrecognized configuration class"):
        model.open_network(spec(tmp_path))


def test_files_of_the_folder_count_and_nothing_is_fetched(tmp_path: Path) -> None:
    saved("ViT", tmp_path)
    before = sources.files_digest(spec(tmp_path))
    assert {path.name for path in sources.own_files(spec(tmp_path))} >= {"config.json", "model.safetensors"}
    assert not sources.fetches(spec(tmp_path))
    assert sources.fetches(NetworkSpec("mine", "d", "transformers:microsoft/resnet-18"))
    saved("ViT", tmp_path, image_mean=[0.4, 0.4, 0.4])
    assert sources.files_digest(spec(tmp_path)) != before
