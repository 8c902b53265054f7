"""Any network of timm by name, with its published weights: `timm:resnet50.a1_in1k`. Needs the package timm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import sources
from epsball.networks.layers import normalise

TERMS = "those of its model card; the code is Apache 2.0"
LOADS_STATE = True


def _create(spec: NetworkSpec, pretrained: bool) -> Any:
    timm = sources.import_package("timm")
    name = spec.factory.split(":", 1)[1]
    if not timm.is_model(name):  # which knows names with a tag of the weights, too
        sources.model_name(spec, timm.list_models())
    try:
        return timm.create_model(name, pretrained=pretrained, **spec.args)
    except (OSError, RuntimeError, TypeError) as error:
        message = " ".join(str(error).split())[:200]
        raise EpsballError(
            f"factory '{spec.factory}' fails: {message}; where there is no network, give a local file as weights"
        ) from None


def fetch(spec: NetworkSpec) -> Path | None:
    """See `epsball.networks.model.fetch`; timm keeps its files, and their digests, in the Hugging Face cache."""
    _create(spec, pretrained=True)
    return None


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`."""
    module: nn.Module = _create(spec, pretrained)
    published: Any = module.pretrained_cfg
    return normalise(module, published["mean"], published["std"])
