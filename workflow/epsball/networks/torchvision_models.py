"""Any classification network of torchvision, with its ImageNet weights: `torchvision:resnet50`."""

from __future__ import annotations

import hashlib
import importlib
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError, did_you_mean
from epsball.networks import state
from epsball.networks.normalisation import normalise

TERMS = "those of the data that it was trained on, for these weights ImageNet's; the code is BSD 3-Clause"

# The first published weights, trained with a plain softmax loss; later ones were trained with label smoothing.
_VERSION = "IMAGENET1K_V1"

# As torchvision itself builds these two for their weights.
_WITHOUT_HEADS = {"aux_logits": False, "transform_input": True, "init_weights": False}
_ARGUMENTS: dict[str, dict[str, Any]] = {"googlenet": _WITHOUT_HEADS, "inception_v3": _WITHOUT_HEADS}
_HEADS = ("aux1.", "aux2.", "AuxLogits.")


def _models() -> Any:
    # Imported when a network is built: it takes seconds, and the rules ask this module whether it can fetch.
    return importlib.import_module("torchvision.models")


def _weights(spec: NetworkSpec) -> Any:
    """The entry of torchvision's list that the specification names."""
    models = _models()
    name = spec.factory.split(":", 1)[1]
    known = models.list_models(module=models)
    if name not in known:
        raise EpsballError(f"factory 'torchvision:{name}' does not exist; {did_you_mean(name, known)}")
    versions = {entry.name: entry for entry in models.get_model_weights(name)}
    version = spec.args.get("version", _VERSION)
    if version not in versions:
        raise EpsballError(f"args.version is '{version}', not one of torchvision's for {name}: {', '.join(versions)}")
    return versions[version]


def file(spec: NetworkSpec) -> Path:
    """Where the published weights are, or belong: in the torch hub cache."""
    url: str = _weights(spec).url
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]


def fetch(spec: NetworkSpec) -> Path:
    """See `epsball.networks.model.fetch`. The digest is the one in the file's name, the first of its SHA-256."""
    path, url = file(spec), _weights(spec).url
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
    """See `epsball.networks.model.build`. Argument `version`: of the weights, such as IMAGENET1K_V2."""
    weights = _weights(spec)
    name = spec.factory.split(":", 1)[1]
    arguments = {key: value for key, value in spec.args.items() if key != "version"}
    try:
        module = _models().get_model(name, weights=None, **_ARGUMENTS.get(name, {}), **arguments)
    except TypeError as error:
        raise EpsballError(f"factory 'torchvision:{name}' does not take args {arguments}: {error}") from None
    if pretrained:
        state.load_file(module, Path(spec.weights) if spec.weights else fetch(spec), unused=_HEADS)
    transforms = weights.transforms()
    return normalise(module, transforms.mean, transforms.std)
