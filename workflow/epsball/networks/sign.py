"""The paper's two traffic sign networks, built untrained: the workflow trains them."""

from __future__ import annotations

import importlib

from torch import nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError, nearest

ARCHITECTURES = {
    "ciresan2012": "epsball.networks.ciresan2012",
    "aghdam2015": "epsball.networks.aghdam2015",
}


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.build`."""
    name = spec.factory.split(":", 1)[1]
    if name not in ARCHITECTURES:
        raise EpsballError(f"factory 'sign:{name}' does not exist; {nearest(name, ARCHITECTURES)}")
    module: nn.Module = importlib.import_module(ARCHITECTURES[name]).build(**spec.args)
    return module
