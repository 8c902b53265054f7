"""The paper's two traffic sign networks. Nobody has published their weights: the workflow trains them, or has a file.

Ciresan, Meier & Schmidhuber (CVPR 2012), one column of their multi-column network; Aghdam, Heravi & Puig (Robot 2015).
Both map RGB batches (n, 3, 48, 48) in [0, 1] to logits (n, classes).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from epsball.config import NetworkSpec
from epsball.networks import sources, state

TERMS = "those of your data: trained by this workflow, or your own file"
LOADS_STATE = True


class _Centre(nn.Module):
    """Maps [0, 1] to [-1, 1]: tanh units train slowly on inputs of one sign."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


class _ChannelAffine(nn.Module):
    """One learned scale and shift for each input channel, which start at 2 x - 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 2.0))
        self.shift = nn.Parameter(torch.full((channels, 1, 1), -1.0))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


def ciresan2012(classes: int = 43) -> nn.Module:
    """Build 48 × 48 × 3 – 100C7 – MP2 – 150C4 – MP2 – 250C4 – MP2 – FC300 – FC43 with tanh: 1,543,443 parameters."""
    return _build(_Centre(), nn.Tanh, 1, classes)


def aghdam2015(classes: int = 43) -> nn.Module:
    """Build Ciresan's layout with leaky ReLU and two groups in the later convolutions: 1,123,449 parameters.

    The layout is derived. Published are leaky ReLU, 27% fewer parameters than Ciresan's network and 22% fewer than the
    runner-up's 1,437,791; this layout meets both.
    """
    return _build(_ChannelAffine(3), nn.LeakyReLU, 2, classes)


def _build(first: nn.Module, activation: type[nn.Module], groups: int, classes: int) -> nn.Module:
    convolutions = nn.Conv2d(3, 100, 7), nn.Conv2d(100, 150, 4, groups=groups), nn.Conv2d(150, 250, 4, groups=groups)
    blocks = [part for convolution in convolutions for part in (convolution, activation(), nn.MaxPool2d(2))]
    return nn.Sequential(
        first, *blocks, nn.Flatten(), nn.Linear(250 * 3 * 3, 300), activation(), nn.Linear(300, classes)
    )


ARCHITECTURES = {"ciresan2012": ciresan2012, "aghdam2015": aghdam2015}


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`; untrained without `weights`. Argument `classes`: number of outputs."""
    module = ARCHITECTURES[sources.model_name(spec, ARCHITECTURES)](**sources.arguments(spec))
    if pretrained and spec.weights is not None:
        state.load_file(module, spec)
    return module
