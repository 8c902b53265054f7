"""The paper's two traffic sign networks. None has published their weights: the workflow trains them, or has a file."""

from __future__ import annotations

import importlib
from pathlib import Path

from torch import nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError, did_you_mean
from epsball.networks import state

TERMS = "those of your data: trained by this workflow, or your own file"

ARCHITECTURES = {
    "ciresan2012": "epsball.networks.ciresan2012",
    "aghdam2015": "epsball.networks.aghdam2015",
}


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`. Untrained, where `weights` names no file of its state dict."""
    name = spec.factory.split(":", 1)[1]
    if name not in ARCHITECTURES:
        raise EpsballError(f"factory 'sign:{name}' does not exist; {did_you_mean(name, ARCHITECTURES)}")
    module: nn.Module = importlib.import_module(ARCHITECTURES[name]).build(**spec.args)
    if pretrained and spec.weights:
        state.load_file(module, Path(spec.weights))
    return module
