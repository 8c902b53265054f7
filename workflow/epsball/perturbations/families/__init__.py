"""Families: the ways to draw perturbations, one module each, registered by name."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

from epsball.config import Ball
from epsball.runs.provenance import declared

if TYPE_CHECKING:
    from torch import Tensor

    from epsball.perturbations.ball import Draws

FAMILIES = {
    "uniform": "epsball.perturbations.families.uniform",
    "permuted": "epsball.perturbations.families.permuted",
    "mixed_radius": "epsball.perturbations.families.mixed_radius",
    "permuted_pixels": "epsball.perturbations.families.permuted_pixels",
    "permuted_channels": "epsball.perturbations.families.permuted_channels",
    "permuted_patches": "epsball.perturbations.families.permuted_patches",
    "low_frequency": "epsball.perturbations.families.low_frequency",
    "permuted_low_frequency": "epsball.perturbations.families.permuted_low_frequency",
}


class Family(Protocol):
    """What a family's module offers."""

    KEEPS_FEATURES: bool  # whether a probe of this family reads the features
    LARGEST_ONLY: bool  # whether it is drawn in the largest ball alone; without it, it is not
    STREAMS: tuple[int, ...]  # streams of `epsball.perturbations.philox` that no other family uses

    def draw(self, draws: Draws) -> Tensor:
        """Draw perturbations of one sample at one radius.

        Returns:
            float32 (draw, element), elements in the image's order. Norms are the radius; of the family mixed_radius,
            spread below it; of gaussian noise, spread around it.
        """
        ...


def family(name: str) -> Family:
    """Return the module of a registered family."""
    return cast(Family, importlib.import_module(FAMILIES[name]))


def ball(spec: Ball, name: str) -> Ball:
    """Return the ball that a family draws: with all radii, or with 0 and the largest."""
    return replace(spec, radii=(0.0, max(spec.radii))) if declared(FAMILIES[name]).get("LARGEST_ONLY") else spec


def keeps_features(name: str) -> bool:
    """Return whether a probe of this family reads the features, without importing it: a plan needs no PyTorch."""
    return bool(declared(FAMILIES[name]).get("KEEPS_FEATURES"))
