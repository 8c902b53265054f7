"""Families: the ways to draw perturbations. One module each, registered here by name."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

from epsball.config import Ball
from epsball.runs.provenance import declared

if TYPE_CHECKING:
    from torch import Tensor

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
    LARGEST_ONLY: bool  # whether it is drawn in the largest ball alone
    STREAMS: tuple[int, ...]  # of `epsball.perturbations.philox`, its own alone

    def perturbations(
        self, *, seed: int, radius: float, draws: range, shape: tuple[int, int, int], spec: Ball, device: str
    ) -> Tensor:
        """Perturbations of one sample at one radius.

        Args:
            seed: of the sample.
            radius: of the ball.
            draws: which.
            shape: of the image: height, width, 3.
            spec: norm and noise.
            device: where to compute; it does not change a bit.

        Returns:
            float32 (draw, element), elements in the image's order, of that norm; if mixed, of norms
            below it, and of gaussian noise, of norms about it.
        """
        ...


def family(name: str) -> Family:
    """The module of a registered family."""
    return cast(Family, importlib.import_module(FAMILIES[name]))


def ball(spec: Ball, name: str) -> Ball:
    """What a family draws of a ball: all radii, or 0 and the largest."""
    return replace(spec, radii=(0.0, max(spec.radii))) if declared(FAMILIES[name])["LARGEST_ONLY"] else spec
