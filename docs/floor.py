"""Simulate the noise floor, and write the rates into its page: python docs/floor.py, which takes a minute.

Here the float64 function is known. Where it is constant, only rounding varies, and each range that counts is a false
alarm. Where its range is 20 floors, each that does not count is missed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from epsball.analysis.claims import NOISE_FLOOR_FACTOR
from epsball.config import Ball, Compute
from epsball.networks import scores
from epsball.probes import Context, ranges, rounding
from epsball.probes.normalisers import Scales
from epsball.stages.passes import float64_radii
from marked import put, table

Errors = Callable[[np.random.Generator, tuple[int, ...]], scores.Array]  # of the logits, in units of their spacing

SAMPLES, DRAWS = 4000, 40
BALL = Ball(radii=(0.0, 0.1, 1.0, 5.0, 10.0, 20.0), epsilon=0.1, draws=DRAWS)  # those of the default run
LOGIT = 10.0  # of the right class
SPACING = float(np.spacing(np.float32(LOGIT)))


class Model(NamedTuple):
    """How logits round: the same errors for each class, times `label` for the right one and `by_radius` beyond 0."""

    name: str
    errors: Errors
    classes: int = 10
    label: float = 1.0
    by_radius: tuple[float, ...] = (1, 1, 1, 1, 1)


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> scores.Array:
    """Normal errors, much larger than a spacing: then nothing but the passes in float64 tells their size."""
    return 50 * generator.standard_normal(shape)


def uniform(generator: np.random.Generator, shape: tuple[int, ...]) -> scores.Array:
    """Uniform errors."""
    return 50 * generator.uniform(-1, 1, shape)


def few(generator: np.random.Generator, shape: tuple[int, ...]) -> scores.Array:
    """At most two spacings, and often none."""
    return generator.integers(-2, 2, shape, endpoint=True).astype(np.float64)


MODELS = (
    Model("normal", normal),
    Model("normal, 2 classes", normal, classes=2),
    Model("normal, 6 times for the right class", normal, label=6),
    Model("uniform", uniform),
    Model("uniform, 2 classes", uniform, classes=2),
    Model("whole spacings, -2 to 2", few),
    Model("whole spacings, 2 classes", few, classes=2),
    Model("normal, twice at every other radius", normal, by_radius=(1, 2, 1, 2, 1)),
    Model("normal, 2 classes, twice at large radii", normal, classes=2, by_radius=(1, 1, 1.4, 2, 2)),
    Model("normal, 2 classes, twice at small radii", normal, classes=2, by_radius=(2, 2, 1.4, 1, 1)),
)


def simulate(model: Model, moves: float, float64_draws: int, seed: int = 0) -> tuple[scores.Array, xr.Dataset]:
    """Make the stores of a network whose margin moves by `moves` floors over the draws, and only by rounding if 0.

    Returns:
        Errors (sample, radius, draw) of the score, and activations as `epsball.stages.extract` stores them.
    """
    generator = np.random.default_rng(seed)
    shape = (SAMPLES, len(BALL.radii), DRAWS, model.classes)
    size = np.array([1.0, *model.by_radius])[:, None, None] * np.where(np.arange(model.classes) == 0, model.label, 1.0)
    error = SPACING * size * model.errors(generator, shape)
    error[:, 0] = error[:, 0, :1]  # at radius 0 all draws are one image
    exact = np.zeros(shape)
    spread = error[:, 1:, :, 0] - error[:, 1:, :, 1]
    floor = rounding.expected_range(DRAWS) * spread.std(axis=(0, 2))
    exact[..., 0] = LOGIT
    exact[:, 1:, :, 0] += moves * floor[:, None] * np.linspace(-0.5, 0.5, DRAWS)
    logits = exact + error
    twice = float64_radii(BALL, Compute(float64_draws=float64_draws))
    places = [BALL.radii.index(radius) for radius in twice]
    found = scores.summarise(logits.reshape(-1, model.classes), np.zeros(logits[..., 0].size, dtype=np.int64))
    dims = ("sample", "radius", "draw")
    stored = {name: (dims, values.reshape(shape[:3])) for name, values in found._asdict().items()}
    firsts = {
        "first_logits": (("sample", "radius", "class"), logits[:, :, 0]),
        "float64_logits": (("sample", "float64_radius", "class"), exact[:, places, 0]),
    }
    coordinates = {"sample": np.arange(SAMPLES), "radius": [*BALL.radii], "float64_radius": [*twice]}
    activations = xr.Dataset({**stored, **firsts}, coordinates).assign_coords(label=("sample", np.zeros(SAMPLES, int)))
    score64 = scores.shortfall(exact[..., 0] - np.log(model.classes - 1))
    return scores.shortfall(activations["log_odds"].values) - score64, activations


def counted(model: Model, moves: float, float64_draws: int) -> float:
    """Return the share of ranges of the score beyond radius 0 that count."""
    _, activations = simulate(model, moves, float64_draws)
    nothing = xr.DataArray(np.zeros((SAMPLES, len(BALL.radii), DRAWS)), dims=("sample", "radius", "draw"))
    found = ranges.measure(
        activations, xr.Dataset({"rms": nothing, "fraction_outside": nothing}), Context(Scales(1, 1), 0)
    )
    found = found[found["radius"] > 0]
    return float((found["range"] > NOISE_FLOOR_FACTOR * found["noise_floor"]).mean())


def counted_before(model: Model, moves: float, float64_draws: int) -> float:
    """Return the same by the earlier floor: the range of the errors of a few draws at each radius."""
    error, activations = simulate(model, moves, float64_draws=2)
    floor = np.ptp(error[:, 1:, :float64_draws], axis=2)
    score = scores.shortfall(activations["log_odds"].values)[:, 1:]
    return float((np.ptp(score, axis=2) > NOISE_FLOOR_FACTOR * floor).mean())


def main() -> None:
    """Write false alarms and detection, for each model of rounding and number of passes in float64."""
    head = ["errors of the logits", *(f"{what}, {count}" for what in ("earlier", "now") for count in (2, 4))]
    head += [f"found, {count}" for count in (2, 4)]
    rows = []
    for model in MODELS:
        rates = [counted_before(model, 0, count) for count in (2, 4)]
        rates += [counted(model, moves, count) for moves in (0, 20) for count in (2, 4)]
        rows.append([model.name, *(f"{rate:.2%}" for rate in rates[:4]), *(f"{rate:.0%}" for rate in rates[4:])])
    put(Path(__file__).parent / "explanation" / "verdicts.md", "simulated floors", table(head, rows))


if __name__ == "__main__":
    main()
