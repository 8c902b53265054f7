"""Families: the ways to draw perturbations. One module each, registered here by name."""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from torch import Tensor

from epsball.config import Norm

FAMILIES = {
    "uniform": "epsball.families.uniform",
    "permuted": "epsball.families.permuted",
}


class Family(Protocol):
    """What a family's module offers."""

    KEEPS_FEATURES: bool  # whether a probe of this family reads the features
    STREAMS: tuple[int, ...]  # of `epsball.noise`, its own alone

    def perturbations(
        self, *, seed: int, radius: float, draws: range, elements: int, norm: Norm, device: str
    ) -> Tensor:
        """Perturbations of one sample at one radius: float32 (draw, element), each of the given norm."""
        ...


def family(name: str) -> Family:
    """The module of a registered family."""
    return cast(Family, importlib.import_module(FAMILIES[name]))
