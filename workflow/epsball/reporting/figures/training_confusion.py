"""Which classes the networks that the run trains take for which."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("card", "survey")

_LISTED = 4  # confusions in the line below a panel


def draw(results: Run) -> Figure:
    """A panel a network: images of the test split by class and prediction."""
    cards = [card for name in results.config.networks if (card := results.card(name))["training"]]
    columns = min(len(cards), 2)
    rows = -(-len(cards) // columns)
    figure = Figure(figsize=(style.WIDTH, 3.2 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for card, ax in zip(cards, axes, strict=False):
        survey = results.survey(card["network"])
        counts = np.zeros((card["classes"], card["classes"]))
        np.add.at(counts, (survey["label"], survey["prediction"]), 1)
        right = (survey["label"] == survey["prediction"]).mean()
        drawn = ax.pcolormesh(np.ma.masked_equal(counts, 0), norm=LogNorm(1, counts.max()), cmap=style.SEQUENTIAL)
        ax.set_aspect("equal")
        ax.invert_yaxis()
        ax.set_title(f"{card['network']}: {100 * right:.1f}% of {len(survey):,} right", fontweight="bold")
        ax.set_ylabel("class")
        ax.set_xlabel(f"prediction\n{_most(counts)}")
        figure.colorbar(drawn, ax=ax, label="images", shrink=0.7)
    for unused in list(axes):
        unused.remove()
    return figure


def _most(counts: np.ndarray) -> str:
    """The commonest confusions, in words."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_LISTED]
    pairs = [np.unravel_index(place, wrong.shape) for place in order if wrong.flat[place] > 0]
    return ", ".join(f"{a} as {b}: {wrong[a, b]:.0f}" for a, b in pairs) or "no confusion"
