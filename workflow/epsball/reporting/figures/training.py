"""Figures of the networks that the run trains."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.class_names import called, in_figure
from epsball.reporting.figures import style

_LISTED = 4  # confusions below a panel
_LONGEST = 22  # characters of a class's name there


def _trained(run: Run) -> list[dict[str, Any]]:
    return [card for name in run.config.networks if (card := run.card(name))["training"]]


def training_curves(run: Run) -> Figure:
    """Draw a row for each network: loss, and accuracy on the held-out part of the training split and the test split."""
    cards = _trained(run)
    figure = Figure(figsize=(style.WIDTH, 2.0 * len(cards) + 0.3))
    for card, (left, right) in zip(cards, figure.subplots(len(cards), 2, squeeze=False), strict=True):
        curve = pd.DataFrame(card["training"]["history"])
        left.plot("epoch", "loss", data=curve, color=style.BLUE, label="trained on")
        if "validation_loss" in curve:
            held = curve.dropna(subset="validation_loss")
            held = held.assign(accuracy=100 * held["validation_accuracy"])
            for ax, column in ((left, "validation_loss"), (right, "accuracy")):
                ax.plot("epoch", column, "s--", data=held, ms=4, color=style.VERMILION, label="held out")
        survey = run.survey(card["network"])
        test = 100 * (survey["label"] == survey["prediction"]).mean()
        right.axhline(test, color="black", lw=1, label=f"test: {test:.1f}%")
        right.set(ylabel="accuracy, %", ylim=(None, min(right.get_ylim()[1], 100.5)))
        left.set_ylabel("loss (cross-entropy)")
        left.set_title(card["network"], fontweight="bold")
        style.log_scale(left)
        for ax in (left, right):
            ax.set(xlabel="epoch", xlim=(0, card["training"]["epochs"] * 1.02))
            ax.legend()
    return figure


def training_confusion(run: Run) -> Figure:
    """Draw a panel for each network: images of the test split by class and prediction."""
    cards = _trained(run)
    across = min(len(cards), 2)
    down = -(-len(cards) // across)
    figure = Figure(figsize=(style.WIDTH, 3.4 * down))
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
        right = survey["label"] == survey["prediction"]
        ax.set_title(f"{card['network']}: {100 * right.mean():.1f}% of {len(survey):,} right", fontweight="bold")
        ax.tick_params("y", rotation=0)
        wrong = survey[~right].groupby(["label", "prediction"]).size().rename("images").reset_index()
        commonest = wrong.sort_values("images", ascending=False, kind="stable")[:_LISTED].to_dict("records")
        names = run.class_names(run.config.networks[card["network"]].dataset)
        confusions = [
            " as ".join(in_figure(called(label, names, _LONGEST)) for label in (row["label"], row["prediction"]))
            + f": {row['images']}"
            for row in commonest
        ]
        ax.set_ylabel("class")
        below = ("\n" if names else ", ").join(confusions) or "no confusion"
        ax.set_xlabel(f"prediction\n{below}", fontsize="small" if names else "medium")
    return figure
