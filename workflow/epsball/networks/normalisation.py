"""Normalise inputs inside a network, without a module around it: its layers keep their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def normalise(module: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """Make a module take RGB in [0, 1]: first subtract `mean` and divide by `std`, channel by channel."""
    module.register_buffer("_mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
    module.register_buffer("_std", torch.tensor(std).view(-1, 1, 1), persistent=False)
    module.register_forward_pre_hook(_apply)
    return module


def _apply(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return ((inputs[0] - module._mean) / module._std, *inputs[1:])
