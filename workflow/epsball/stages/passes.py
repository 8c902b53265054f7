"""Which draws of a sample pass through a network, and how many: what `extract` does, and the plan of a run says first.

This module stays free of PyTorch: Snakemake's own process imports it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from epsball.config import Ball, Compute


def pending_draws(radius: float, known: int, spec: Ball, compute: Compute) -> range:
    """Return the draws of a sample and radius that still have to pass, if the first `known` are there.

    They are whole batches, counted from draw 0: a draw has the same place in its batch whenever it is computed.
    """
    if radius == 0:
        once = min(compute.batch, spec.draws)
        return range(0 if known >= once else once)
    return range(known // compute.batch * compute.batch, spec.draws) if known < spec.draws else range(0)


def passes_per_sample(spec: Ball, compute: Compute, known: Callable[[float], int] = lambda radius: 0) -> int:
    """Return how many images of a sample pass in float32, if the first `known` draws of each radius are there."""
    return sum(len(pending_draws(radius, known(radius), spec, compute)) for radius in spec.radii)


def float64_radii(spec: Ball, compute: Compute) -> tuple[float, ...]:
    """Return the radii at which draw 0 passes in float64 too: 0, which is the clean image, and some evenly spread.

    They are as many as `compute` has `float64_draws`, if there are so many: one is the middle radius, more are from the
    smallest to the largest.
    """
    beyond = spec.radii[1:]
    count = min(compute.float64_draws - 1, len(beyond))
    places = np.linspace(0, len(beyond) - 1, count).round().astype(int) if count > 1 else [len(beyond) // 2] * count
    return (spec.radii[0], *(beyond[place] for place in places))


def float64_passes_per_sample(spec: Ball, compute: Compute) -> int:
    """Return how many images of a sample pass in float64."""
    return len(float64_radii(spec, compute))
