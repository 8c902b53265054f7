"""Not in the paper: Eq. 3 scored. How much of the change is gradient, how much Hessian, how much neither."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epsball.figures import style
from epsball.results import Results

READS = ("expansion",)

_ORDERS = {"first": ("#d55e00", "gradient"), "second": ("#0072b2", "gradient and Hessian")}
_LOWEST = -0.25  # shown: below 0 an expansion is worse than none


def draw(results: Results) -> Figure:
    """A column a network, score above margin: explained variance over the radius."""
    config = results.config
    columns = len(config.networks)
    figure = Figure(figsize=(style.WIDTH, 4.2))
    grid = figure.subplots(2, columns, squeeze=False, sharey=True)
    for place, network in enumerate(config.networks):
        table = results.metrics(network, "expansion")
        for ax, quantity in zip(grid[:, place], ("score", "margin"), strict=True):
            places = style.radius_axis(ax, config)
            for order, (colour, label) in _ORDERS.items():
                samples = table.pivot_table(
                    index="sample", columns="radius", values=f"{quantity}_{order}", dropna=False
                )
                x = [places[float(radius)] for radius in samples.columns]
                style.band(ax, x, samples.clip(lower=_LOWEST), colour, label)
            _frame(ax)
            if place == 0:
                ax.set_ylabel(f"explained variance\nof the {quantity}")
        ax = grid[0, place]
        ax.set_xlabel("")
        dataset = config.datasets[config.networks[network].dataset]
        ax.set_title(f"{network}\n", fontweight="bold", fontsize=7)
        facts = f"{dataset.name}, {table['sample'].nunique()} samples, > {dataset.threshold:g}"
        style.write(ax, 0, 1.03, facts, color="0.35")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _frame(ax: Axes) -> None:
    ax.set_ylim(_LOWEST - 0.02, 1.05)
    ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
    ax.axhline(1, color=style.GREY, lw=0.6, zorder=1)
