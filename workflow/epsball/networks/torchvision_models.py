"""Any classification network of torchvision, with its ImageNet weights: `torchvision:resnet50`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import sources, state
from epsball.networks.layers import normalise

TERMS = "those of the data that it was trained on, for these weights ImageNet's; the code is BSD 3-Clause"
PACKAGES = ("torchvision",)
LOADS_STATE = True

# The first published weights, trained with a plain softmax loss; later ones were trained with label smoothing.
_VERSION = "IMAGENET1K_V1"

# Torchvision itself builds these two so for their weights, which have auxiliary classifiers all the same.
_WITHOUT_HEADS = {"aux_logits": False, "transform_input": True, "init_weights": False}
_HEADS = ("aux1.", "aux2.", "AuxLogits.")

# Names in files of DenseNets from before PyTorch 0.4, such as denselayer1.norm.1.weight; torchvision renames them so.
_DOTTED = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$")


def _weights(spec: NetworkSpec) -> Any:
    """Return torchvision's entry for the weights that the specification names."""
    models = sources.import_package("torchvision.models")
    name = sources.model_name(spec, models.list_models(module=models))
    versions = {entry.name: entry for entry in models.get_model_weights(name)}
    version = spec.args.get("version", _VERSION if _VERSION in versions else next(iter(versions)))
    if version not in versions:
        raise EpsballError(f"args.version is '{version}', not one of torchvision's for {name}: {', '.join(versions)}")
    return versions[version]


def fetch(spec: NetworkSpec) -> Path:
    """See `epsball.networks.model.fetch`. The file's name holds the beginning of its SHA-256."""
    url: str = _weights(spec).url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    found = re.search(r"-([0-9a-f]{8,})\.", path.name)
    expected = found.group(1) if found else ""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=expected, progress=False)
        except (OSError, RuntimeError) as error:
            raise EpsballError(
                f"weights '{path.name}' are not in the folder '{path.parent}' and cannot be downloaded from {url} "
                f"({error}); put the file there"
            ) from None
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if not digest.startswith(expected):
        raise EpsballError(
            f"weights '{path}' have the SHA-256 {digest[:16]}…, expected {expected}…; remove the file and run again"
        )
    return path


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`. Argument `version`: name of the weights, such as IMAGENET1K_V2.

    Published weights are loaded by torchvision's own builders, which know what is special about their files.
    """
    entry = _weights(spec)
    transforms, published = entry.transforms(), pretrained and spec.weights is None
    if published:
        fetch(spec)
    name, given = spec.factory.split(":", 1)[1], sources.arguments(spec, "version")
    arguments = given if published else {**_as_published(name, entry), **given}
    try:
        module: nn.Module = sources.import_package("torchvision.models").get_model(
            name, weights=entry if published else None, **arguments
        )
    except (TypeError, ValueError) as error:
        raise EpsballError(f"factory '{spec.factory}' does not take args {given}: {error}") from None
    if pretrained and not published:
        state.load_file(module, spec, lambda part: _DOTTED.sub(r"\1\2", part), _HEADS)
    return normalise(module, transforms.mean, transforms.std)


def _as_published(name: str, entry: Any) -> dict[str, Any]:
    """Return the arguments with which torchvision builds a network for its published weights."""
    if name in ("googlenet", "inception_v3"):
        return _WITHOUT_HEADS
    if name.startswith("vit_"):
        return {"image_size": entry.meta["min_size"][0]}
    return {"input_size": entry.meta["min_size"]} if name.startswith("maxvit") else {}
