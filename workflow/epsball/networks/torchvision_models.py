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
from epsball.networks import sources
from epsball.networks.layers import normalise
from epsball.networks.weights import load_file

TERMS = "those of the data that it was trained on, for these weights ImageNet's; the code is BSD 3-Clause"
LOADS_STATE = True
UNUSED_WEIGHTS = ("aux1.", "aux2.", "AuxLogits.")  # of the auxiliary classifiers

# The first published weights, trained with a plain softmax loss; later ones were trained with label smoothing.
_VERSION = "IMAGENET1K_V1"

# Torchvision itself builds GoogLeNet and Inception v3 so for their weights.
_WITHOUT_HEADS = {"aux_logits": False, "transform_input": True, "init_weights": False}


def _weights(spec: NetworkSpec) -> Any:
    """Return torchvision's entry for the weights that the specification names."""
    models = sources.import_package("torchvision.models")
    name = sources.model_name(spec, models.list_models(module=models))
    versions = {entry.name: entry for entry in models.get_model_weights(name)}
    version = spec.args.get("version", _VERSION)
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
    """See `epsball.networks.model.build`. Argument `version`: name of the weights, such as IMAGENET1K_V2."""
    transforms = _weights(spec).transforms()
    name = spec.factory.split(":", 1)[1]
    built_in = _WITHOUT_HEADS if name in ("googlenet", "inception_v3") else {}
    arguments = {key: value for key, value in spec.args.items() if key != "version"}
    models = sources.import_package("torchvision.models")
    try:
        module = models.get_model(name, weights=None, **built_in, **arguments)
    except TypeError as error:
        raise EpsballError(f"factory '{spec.factory}' does not take args {arguments}: {error}") from None
    if pretrained:
        load_file(module, fetch(spec), UNUSED_WEIGHTS)
    return normalise(module, transforms.mean, transforms.std)
