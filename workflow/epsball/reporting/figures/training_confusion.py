"""Which classes the networks that the run trains take for which."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("card", "survey")

_LISTED = 4  # confusions in the line below a panel


def draw(run: Run) -> Figure:
    """Draw a panel for each network: images of the test split by class and prediction."""
    cards = [card for name in run.config.networks if (card := run.card(name))["training"]]
    across = min(len(cards), 2)
    down = -(-len(cards) // across)
    figure = Figure(figsize=(style.WIDTH, 3.2 * down))
    for number, card in enumerate(cards, start=1):
        survey = run.survey(card["network"])
        classes = range(card["classes"])
        counts = pd.crosstab(survey["label"], survey["prediction"])
        counts = counts.reindex(index=classes, columns=classes, fill_value=0)
        step = max(1, len(classes) // 8)
        ax = figure.add_subplot(down, across, number)
        sns.heatmap(
            counts, mask=counts == 0, norm=LogNorm(1, counts.to_numpy().max()), cmap=style.SEQUENTIAL, square=True,
            xticklabels=step, yticklabels=step, cbar_kws={"label": "images", "shrink": 0.7}, ax=ax,
        )  # fmt: skip
        right = (survey["label"] == survey["prediction"]).mean()
        ax.set_title(f"{card['network']}: {100 * right:.1f}% of {len(survey):,} right", fontweight="bold")
        ax.tick_params("y", rotation=0)
        ax.set(ylabel="class", xlabel=f"prediction\n{_commonest(survey)}")
    return figure


def _commonest(survey: pd.DataFrame) -> str:
    """Say in words which confusions are the commonest."""
    wrong = survey[survey["label"] != survey["prediction"]]
    counts = wrong.groupby(["label", "prediction"]).size().rename("images").reset_index()
    counts = counts.sort_values("images", ascending=False, kind="stable")[:_LISTED]
    return ", ".join(f"{row.label} as {row.prediction}: {row.images}" for row in counts.itertuples()) or "no confusion"
