"""Learning curves of the networks that the run trains."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("card", "survey")


def draw(results: Run) -> Figure:
    """A row a network: loss on the left, accuracy on the held-out part of the training split on the right."""
    cards = [card for name in results.config.networks if (card := results.card(name))["training"]]
    figure = Figure(figsize=(style.WIDTH, 2.0 * len(cards) + 0.3))
    for card, (left, right) in zip(cards, figure.subplots(len(cards), 2, squeeze=False), strict=True):
        curve = pd.DataFrame(card["training"]["history"])
        left.plot(curve["epoch"], curve["loss"], color="#0072b2", label="trained on")
        left.set_yscale("log")
        left.set_title(card["network"], fontweight="bold")
        left.set_ylabel("loss (cross-entropy)")
        if "validation_loss" in curve:
            ends = curve.dropna(subset="validation_loss")
            left.plot(ends["epoch"], ends["validation_loss"], "s--", ms=4, color="#d55e00", label="held out")
            right.plot(ends["epoch"], 100 * ends["validation_accuracy"], "s--", ms=4, color="#d55e00", label="held out")
        survey = results.survey(card["network"])
        test = 100 * (survey["label"] == survey["prediction"]).mean()
        right.axhline(test, color="black", lw=1, label=f"test: {test:.1f}%")
        right.set_ylabel("accuracy, %")
        right.set_ylim(top=min(right.get_ylim()[1], 100.5))
        for ax in (left, right):
            ax.set_xlabel("epoch")
            ax.set_xlim(0, card["training"]["epochs"] * 1.02)
            ax.legend(frameon=False)
    return figure
