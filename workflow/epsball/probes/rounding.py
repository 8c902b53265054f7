"""The noise floor: the range that rounding to float32 alone gives.

A few passes of a sample are made in float32 and in float64. The size of their difference hardly depends on the radius,
so one standard deviation σ is estimated from all of them. The floor of a range over T draws is the expected range of T
normal numbers (Tippett 1925, "On the extreme individuals and the range of samples taken from a normal population") with
that deviation.
"""

from __future__ import annotations

import functools

import numpy as np
import xarray as xr
from scipy import integrate, special, stats

from epsball.networks.scores import Array

_MISSED = 0.005  # at most this often are ten floors below the range that is expected, were errors normal


def margin_floor(activations: xr.Dataset) -> Array:
    """Compute the noise floor of the range of the margin, (sample, radius).

    That of the log-odds is no larger: their error is a mean of those of the margins to the other classes. It is 0 at
    radius 0, where all draws are one image, and NaN if the network does not compute in float64.
    """
    largest = np.maximum(abs(activations["logit"].values), abs(activations["runner_up_logit"].values)).max(axis=2)
    return _floor(_margin_deviation(activations)[:, None], largest, activations)


def distance_floor(activations: xr.Dataset) -> Array:
    """Compute the noise floor of the range of ‖Φ_L(x+v) - Φ_L(x)‖, (sample, radius); see `margin_floor`."""
    largest = abs(activations["clean_features"].values).max(axis=1, keepdims=True)
    return _floor(_distance_deviation(activations)[:, None], largest, activations)


@functools.cache
def expected_range(draws: int) -> float:
    """Return the expected range of independent standard normal numbers.

    It is the integral of the probability that x is between the least and the largest of them.
    """

    def between(x: float) -> float:
        return float(1 - special.ndtr(x) ** draws - special.ndtr(-x) ** draws)

    return 2 * float(integrate.quad(between, 0, 12)[0])  # beyond 12 it is 0, for any number of draws that there can be


def _floor(deviation: Array, largest: Array, activations: xr.Dataset) -> Array:
    """Return the floor of a deviation that is at least what one rounding of a number of this size gives."""
    least = np.spacing(largest.astype(np.float32)).astype(np.float64) / 2
    moves = activations["radius"].values > 0
    floor: Array = expected_range(activations.sizes["draw"]) * np.maximum(deviation, least) * moves
    return floor


def _margin_deviation(activations: xr.Dataset) -> Array:
    """Estimate the deviation (sample,) of the error of margins, to all classes that matter."""
    exact = activations["float64_logits"].values
    first = activations["first_logits"].sel(radius=activations["float64_radius"].values).values.astype(np.float64)
    label = np.broadcast_to(activations["label"].values[:, None, None], (*first.shape[:2], 1))
    other = np.arange(first.shape[2]) != label
    # Larger numbers, such as those that mask a class, round more coarsely than those of the margin.
    own, runner_up = np.take_along_axis(first, label, axis=2), np.where(other, first, -np.inf).max(axis=2)
    alike = other & (abs(first) <= np.maximum(abs(own), abs(runner_up[:, :, None])))
    error = first - exact
    squares = np.where(alike, np.square(np.take_along_axis(error, label, axis=2) - error), 0.0)
    return _deviation(squares.sum(axis=2) / alike.sum(axis=2))


def _distance_deviation(activations: xr.Dataset) -> Array:
    """Estimate the deviation (sample,) of the error of ‖Φ_L(x+v) - Φ_L(x)‖, to first order.

    It is the error of the features along their change. One error stands for those of the other draws, whose changes
    have other directions.
    """
    radii, exact = activations["float64_radius"].values, activations["float64_features"].values
    clean = activations["clean_features"].values.astype(np.float64)
    squares = np.zeros((len(exact), len(radii) - 1))  # the first radius is 0
    for sample, place in np.ndindex(squares.shape):
        features = activations["features"][sample].sel(radius=radii[place + 1]).values
        changes = features - clean[sample]
        error = changes[0] - (exact[sample, place + 1] - exact[sample, 0])
        lengths = np.linalg.norm(changes, axis=1)
        along = np.divide(changes @ error, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        squares[sample, place] = np.square(along).mean()
    return _deviation(squares)


def _deviation(squares: Array) -> Array:
    """Estimate a deviation (sample,) from the squares (sample, pass) of errors, whose mean is 0.

    Two passes can agree by chance: then the estimate is larger, so that ten floors are still not often too few.
    """
    passes = squares.shape[1]
    few = np.sqrt(passes / stats.chi2.ppf(_MISSED, passes)) / 10
    found: Array = max(1.0, few) * np.sqrt(squares.mean(axis=1))
    return found
