"""Any network of timm by name, with its published weights: `timm:resnet50.a1_in1k`. Needs the package timm."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from torch import nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError, did_you_mean
from epsball.networks import state
from epsball.networks.normalisation import normalise

TERMS = "those of its model card; the code is Apache 2.0"


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError:
        raise EpsballError("factory 'timm:' needs the package timm; install it with pip install timm") from None


def _create(spec: NetworkSpec, pretrained: bool) -> Any:
    timm = _timm()
    name = spec.factory.split(":", 1)[1]
    if not timm.is_model(name):
        raise EpsballError(f"factory 'timm:{name}' does not exist; {did_you_mean(name, timm.list_models())}")
    try:
        return timm.create_model(name, pretrained=pretrained, **spec.args)
    except (OSError, RuntimeError, TypeError) as error:
        told = " ".join(str(error).split())[:200]
        raise EpsballError(
            f"factory 'timm:{name}' fails: {told}; where there is no network, give a local file as weights"
        ) from None


def fetch(spec: NetworkSpec) -> Path | None:
    """See `epsball.networks.model.fetch`; timm keeps its files, and their digests, in the Hugging Face cache."""
    _create(spec, pretrained=True)
    return None


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`."""
    module: nn.Module = _create(spec, pretrained=pretrained and not spec.weights)
    if pretrained and spec.weights:
        state.load_file(module, Path(spec.weights))
    published: Any = module.pretrained_cfg
    return normalise(module, published["mean"], published["std"])
