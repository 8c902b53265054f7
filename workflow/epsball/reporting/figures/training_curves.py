"""Learning curves of the networks that the run trains."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("card", "survey")


def draw(run: Run) -> Figure:
    """Draw a row for each network: loss, and accuracy on the held-out part of the training split and the test split."""
    cards = [card for name in run.config.networks if (card := run.card(name))["training"]]
    figure = Figure(figsize=(style.WIDTH, 2.0 * len(cards) + 0.3))
    for card, (left, right) in zip(cards, figure.subplots(len(cards), 2, squeeze=False), strict=True):
        curve = pd.DataFrame(card["training"]["history"])
        left.plot("epoch", "loss", data=curve, color=style.BLUE, label="trained on")
        if "validation_loss" in curve:
            held = curve.dropna(subset="validation_loss").assign(
                accuracy=lambda rows: 100 * rows["validation_accuracy"]
            )
            for ax, column in ((left, "validation_loss"), (right, "accuracy")):
                ax.plot("epoch", column, "s--", data=held, ms=4, color=style.RED, label="held out")
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
