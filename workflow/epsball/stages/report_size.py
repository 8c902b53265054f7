"""How many bytes each part of the report may take, and how much is shown of a run that is too large for it.

What a report has is known when it is written. Where pictures of draws are drawn, before that, it is estimated, rather
low: what does not fit after all is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from epsball.config import Config
from epsball.stages.select import of_network

LIMIT = 15_000_000  # bytes of the report
DRAWS = 6_000_000  # bytes in it of the pictures of all draws
FIGURES = 4_500_000  # bytes of all figures; further pages beyond it are linked
_CHARTS = 4_500_000  # bytes of all charts

_REST = 2_500_000  # bytes of what is there once, of which the library of charts is most
_FIGURES = 150_000  # bytes of all figures, a network
_POINT = 220  # bytes in all charts, a network's sample at a radius
_CHARTED = 200  # samples of a network in a chart, at most
_SAMPLE = 5_000  # bytes of a sample's thumbnail and text
_SCORES = 30  # bytes of a sample's scores, a network and radius


@dataclass(frozen=True)
class Selected:
    """How much of a dataset is selected: its samples, and pairs of a sample and a network that is measured on it."""

    samples: int
    pairs: int


def selected(config: Config, dataset: str, samples: pd.DataFrame) -> Selected:
    """Count the samples of a dataset, and those of each of its networks."""
    pairs = sum(len(of_network(samples, network.name)) for network in config.networks_of(dataset))
    return Selected(len(samples), pairs)


def charted(config: Config) -> int:
    """Return of how many samples of a network charts have points: the first ones, in the order of their seeds."""
    return max(1, min(_CHARTED, _CHARTS // (_POINT * len(config.networks) * len(config.ball.radii))))


def shown(config: Config, datasets: Mapping[str, Selected]) -> dict[str, int]:
    """Return how many samples of each dataset the report shows: all, or the same share of each, at least one."""
    room = LIMIT - _REST - _charts_and_figures(config, datasets)
    share = min(1, room / max(1, _text(config, datasets)))
    return {name: max(1, int(of.samples * share)) for name, of in datasets.items()}


def text_size(config: Config, datasets: Mapping[str, Selected]) -> int:
    """Estimate the bytes of the report without figures, charts and pictures of draws."""
    of_samples = shown(config, datasets)
    parts = {
        name: Selected(of_samples[name], of.pairs * of_samples[name] // max(1, of.samples))
        for name, of in datasets.items()
    }
    return _REST + _text(config, parts)


def estimated_budget(config: Config, datasets: Mapping[str, Selected]) -> int:
    """Estimate the bytes that the report has for pictures of draws."""
    return budget(text_size(config, datasets) + _charts_and_figures(config, datasets))


def budget(spent: int) -> int:
    """Return the bytes that the report has for pictures of draws, if all else takes so many."""
    return min(DRAWS, max(LIMIT - spent, 0))


def _text(config: Config, datasets: Mapping[str, Selected]) -> int:
    scores = _SCORES * len(config.ball.radii)
    return sum(of.samples * _SAMPLE + of.pairs * scores for of in datasets.values())


def _charts_and_figures(config: Config, datasets: Mapping[str, Selected]) -> int:
    points = sum(min(of.pairs, charted(config) * len(config.networks_of(name))) for name, of in datasets.items())
    points *= len(config.ball.radii)
    return min(_FIGURES * len(config.networks), FIGURES) + _POINT * points
