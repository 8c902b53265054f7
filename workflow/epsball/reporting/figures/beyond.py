"""Figures beyond the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from epsball.analysis.claims import ratio, wide
from epsball.analysis.comparisons import correlates
from epsball.analysis.properties import boundary
from epsball.analysis.run import Run
from epsball.controls import chosen_controls, compared, name_of
from epsball.reporting.figures import reads, style


def beyond_geometry(run: Run) -> Figure:
    """Draw a panel for each network: what ρ and Eq. 7 say of each sample at the largest radius and at mixed norms."""
    figure, axes = style.panels(run, "topology")
    largest = max(run.config.ball.radii)
    for network, [ax] in style.available(run, axes, reads("beyond_geometry")):
        probes = ("topology", "topology_mixed_radius", "alpha", "alpha_mixed_radius")
        tables = (run.metrics(probe, network) for probe in probes)
        rho, rho_mixed, alpha, alpha_mixed = (table[table["radius"] == largest] for table in tables)
        values = {
            f"ρ\nr = {largest:g}": rho["rho"],
            "ρ\nmixed": rho_mixed["rho"],
            f"α\nr = {largest:g}": alpha["distance"],
            f"shuffled\nr = {largest:g}": alpha["shuffled"],
            "α\nmixed": alpha_mixed["distance"],
            "shuffled\nmixed": alpha_mixed["shuffled"],
        }
        style.columns(ax, values, [style.VERMILION if "shuffled" in label else style.BLUE for label in values])
        ax.axvline(1.5, color=style.GREY, lw=0.6)
        ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
        ax.set(ylim=(min(-0.1, ax.get_ylim()[0]), 1.05), ylabel="ρ; ‖α − cI‖ / ‖α‖")
    return figure


def beyond_controls(run: Run) -> Figure:
    """Draw a row for each network, a column for each quantity: medians and middle halves of it and its controls."""
    config = run.config
    itself = "the network"
    quantities = (
        ("isotropy", "range", "range of score"),
        ("topology", "rho", "Mantel's ρ"),
        ("lipschitz", "ratio", "normalised ratio"),
    )
    colours = {itself: "black", **{name: style.CONTROLS.get(name, style.GREY) for name in chosen_controls(config)}}
    figure, rows = style.panels(run, "isotropy", len(quantities), height=1.7)
    lowest = np.inf  # lower end of the networks' bands
    for network, row in rows.items():
        gone: dict[str, str] = {}  # controls, in their order
        for ax, (probe, column, label) in zip(row, quantities, strict=True):
            names = {name: name_of(network, name) for name in compared(config, network, probe)} | {itself: network}
            gone |= {name: "" for name, of in names.items() if run.unavailable(of, probe)}
            names = {name: of for name, of in names.items() if name not in gone}
            tables = {of: run.metrics(probe, name) for of, name in names.items()}
            table = pd.concat(tables, names=["of"]).groupby(["of", "sample", "radius"])[column].median().reset_index()
            shown = {name: colours[name] for name in names}
            style.bands(ax, style.radius_axis(ax, config, table), "place", column, "of", shown)
            ax.set_ylabel(label)
            if probe == "topology":
                ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
            elif probe == "isotropy":
                own = table[(table["of"] == itself) & (table[column] > 0)]
                lowest = min(lowest, own.groupby("radius")[column].quantile(0.25).min())
        if gone:
            style.write(row[-1], 1, 1.02, f"not available: {', '.join(gone)}", ha="right", color="0.35")
    for ax in (row[0], row[2]):
        style.log_scale(ax)
    if np.isfinite(lowest):
        row[0].set_ylim(bottom=lowest / 3)  # a control may vanish: its line leaves the panels, which share the axis
    style.legend(figure, colours)
    return figure


def beyond_symmetry(run: Run) -> Figure:
    """Draw a panel for each network, one point per sample: ranges under permutation over those of fresh draws."""
    permutations = {
        "all elements": ("symmetry", "isotropy"),
        "whole pixels": ("symmetry_pixels", "isotropy"),
        "in a channel": ("symmetry_channels", "isotropy"),
        "in a patch": ("symmetry_patches", "isotropy"),
        "low frequencies": ("symmetry_low_frequency", "isotropy_low_frequency"),
    }
    figure, axes = style.panels(run, "isotropy", height=2.5)
    radii = [radius for radius in run.config.ball.radii if radius >= 1]
    for network, [ax] in style.available(run, axes, reads("beyond_symmetry")):
        values = {}
        for label, probes in permutations.items():
            permuted, redrawn = (wide(run.metrics(probe, network), "margin_range")[radii] for probe in probes)
            values[label] = sum(np.log2(ratio(permuted[r], redrawn[r])) for r in radii) / len(radii)
        style.columns(ax, values, [style.BLUE] * len(values), slanted=True)
        ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
        ax.axvline(len(values) - 1.5, color=style.GREY, lw=0.6)
        ax.set_ylabel("log2 range of the margin,\npermuted over redrawn")
    return figure


def beyond_frequency(run: Run) -> Figure:
    """Draw a row for each network, one point per filter: measured energy against a flat spectrum's, and Parseval's."""
    # Permuted noise lies where permuted low frequencies do: its points are rings around theirs.
    families: dict[str, dict[str, Any]] = {
        "permuted": {"label": "permuted noise", "s": 18, "fc": "none", "ec": style.BLUE, "lw": 0.8},
        "low_frequency": {"label": "low-frequency noise", "s": 7, "color": style.VERMILION, "lw": 0},
        "permuted_low_frequency": {"label": "the same, permuted", "s": 7, "color": style.GREEN, "lw": 0},
    }
    dead = 1e-8  # of the strongest filter's energy: what answers less has no weights to speak of
    figure, rows = style.panels(run, "frequency", 2, height=2.4, sharex=False, sharey=False)
    for network, row in style.available(run, rows, reads("beyond_frequency")):
        table = run.metrics("frequency", network)
        means = table.groupby(["family", "filter"], sort=False)[["measured", "white", "parseval"]].mean()
        means = means[means["white"] > dead * means["white"].max()]
        measured = means["measured"]
        ends = [measured[measured > 0].min(), measured.max()]
        predictions = {"white": "a flat spectrum", "parseval": "the spectra, by Parseval"}
        for ax, (column, label) in zip(row, predictions.items(), strict=True):
            for family, how in families.items():
                ax.scatter(column, "measured", data=means.loc[family], alpha=0.7, **how)
            ax.plot(ends, ends, color=style.GREY, lw=0.7, zorder=1)
            ax.set(xlabel=f"mean square predicted by {label}", ylabel="measured")
            style.log_scale(ax, "x")
            style.log_scale(ax, "y")
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(families))
    return figure


def beyond_expansion(run: Run) -> Figure:
    """Draw a row for each network, score beside margin: the variance that Eq. 3 explains, over the radius."""
    lowest = -0.25  # shown: below 0 an expansion is worse than none
    figure, rows = style.panels(run, "expansion", 2, height=1.9)
    colours = {"gradient": style.VERMILION, "gradient and Hessian": style.BLUE}
    for network, row in style.available(run, rows, reads("beyond_expansion")):
        table = run.metrics("expansion", network)
        for ax, quantity in zip(row, ("score", "margin"), strict=True):
            orders = {f"{quantity}_first": "gradient", f"{quantity}_second": "gradient and Hessian"}
            shares = table.rename(columns=orders).melt(["sample", "radius"], list(colours), "order", "share")
            shares["share"] = shares["share"].clip(lower=lowest)
            style.bands(ax, style.radius_axis(ax, run.config, shares), "place", "share", "order", colours)
            for level in (0, 1):
                ax.axhline(level, color=style.GREY, lw=0.6, zorder=1)
            ax.set(ylim=(lowest - 0.02, 1.05), ylabel=f"explained: {quantity}")
    style.legend(figure, colours)
    return figure


def beyond_depth(run: Run) -> Figure:
    """Draw a row for each network: ρ and the relative ratio over depth, at mixed norms and at the largest radius."""
    figure, rows = style.panels(run, "depth", 2, height=2.5, sharex=False)
    for network, row in style.available(run, rows, reads("beyond_depth")):
        table = run.metrics("depth", network)
        largest = table["radius"].max()
        names = {"mixed_radius": f"norms mixed up to {largest:g}", "uniform": f"r = {largest:g}"}
        colours = dict(zip(names.values(), (style.BLUE, style.VERMILION), strict=True))
        at = table[table["radius"] == largest].assign(norms=table["family"].map(names))
        layers = at.drop_duplicates("depth").set_index("depth")
        step = -(-len(layers) // 12)  # at most twelve are labelled
        last = layers.index[-1]
        shown = [depth for depth in layers.index if depth % step == 0 and depth + step <= last] + [last]
        labels = []
        for layer, kind in layers.loc[shown, ["layer", "kind"]].astype(str).itertuples(index=False):
            # The last parts of its name; where it is a number alone, its kind.
            labels.append(kind if kind and layer.isdigit() else ".".join(layer.split(".")[-2:]))
        columns = (("rho", "Mantel's ρ", 0), ("relative", "relative ratio", 1))  # and where a line is drawn
        for ax, (column, label, line) in zip(row, columns, strict=True):
            style.bands(ax, at, "depth", column, "norms", colours)
            ax.set_xticks(shown, labels, rotation=55, ha="right", rotation_mode="anchor", fontsize=6)
            ax.grid(False, axis="x")
            ax.axhline(line, color=style.GREY, lw=0.6, zorder=1)
            ax.set(xlabel="", ylabel=label)
        row[0].set_ylim(top=1.05)
    style.log_scale(row[1])
    style.legend(figure, colours)
    return figure


def beyond_lipschitz(run: Run) -> Figure:
    """Draw a panel for each network, one point per sample: features left of the line, the margin right of it."""
    of_features = {
        "sampled_rms": "sampled rms",
        "sampled_max": "sampled max",
        "jacobian_norm": "‖J‖",
        "global_bound": "global bound",
    }
    of_margin = {"margin_gradient": "‖∇m‖", "clever_largest": "largest ‖∇m‖", "clever_lipschitz": "CLEVER"}
    figure, axes = style.panels(run, "lipschitz_bounds", height=2.6)
    for network, [ax] in style.available(run, axes, reads("beyond_lipschitz")):
        table = run.metrics("lipschitz_bounds", network)
        values = {label: table[column].astype(float) for column, label in (of_features | of_margin).items()}
        style.columns(ax, values, [style.BLUE] * len(of_features) + [style.VERMILION] * len(of_margin), slanted=True)
        for place, column in enumerate(values.values()):
            if column.isna().all():
                x = (place + 0.6) / (len(values) + 0.2)
                style.write(ax, x, 0.5, "not available", rotation=90, ha="center", va="center", color="0.35")
        ax.axvline(len(of_features) - 0.5, color=style.GREY, lw=0.6)
        ax.axhline(1, color=style.GREY, lw=0.6, zorder=1)
        ax.set_ylabel("of Φ$_L$, of margin m")
    style.log_scale(ax)
    return figure


def beyond_boundary(run: Run) -> Figure:
    """Draw a row for each network: the score over the radius, and distances to the boundary, one point per sample."""
    config = run.config
    attack_colours = (style.VERMILION, style.AMBER, style.PINK, style.GREEN, style.SKY, style.BROWN)
    figure, rows = style.panels(run, "boundary", 2, height=2.1)
    for network, (scores, distances) in style.available(run, rows, reads("beyond_boundary")):
        table = run.metrics("boundary", network)
        attack = table["kind"] == "attack"
        table["along"] = table["direction"].where(attack, "random")
        attacks = dict(zip(table.loc[attack, "direction"].unique(), attack_colours, strict=False))
        colours = {"random": style.BLUE, **attacks}
        means = table.groupby(["along", "sample", "radius"])["score"].mean().reset_index()
        style.bands(scores, style.radius_axis(scores, config, means), "place", "score", "along", colours)
        scores.set(ylim=(-0.03, 1.05), ylabel="score of the right class")

        found = boundary(run, network)
        met = {"random": found["random"], "flat\nboundary": found["worst"] * found["hyperplane_ratio"]}
        for place, name in enumerate(attacks):
            label = name.replace("_", "\n") if "_" in name else "\n" * (place % 2) + name  # names alone would collide
            met[label] = table[table["along"] == name].drop_duplicates("sample")["distance"]
        style.columns(distances, met, [style.BLUE, "black", *attacks.values()])
        for place, values in enumerate(met.values()):
            if missed := int(np.isinf(values).sum()):
                x = (place + 0.6) / (len(met) + 0.2)
                style.write(distances, x, 1.02, f"{missed} not met", ha="center", color="0.35")
        distances.set_ylabel("distance to the boundary (L2)")
    style.log_scale(distances)
    style.legend(figure, colours)
    return figure


def beyond_adversarial(run: Run) -> Figure:
    """Draw each quantity against the smallest adversarial distance: points are samples, squares networks' medians."""
    quantities = {  # of `correlates`: what its axis is called, and whether it is logarithmic
        "range": ("range of score", True),
        "rho": ("ρ, mixed norms", False),
        "ratio": ("local ratio", False),
        "gradient": ("‖∇ margin‖", True),
        "margin": ("clean margin", False),
    }
    networks = run.having(*reads("beyond_adversarial"))
    table = pd.concat({name: correlates(run, name) for name in networks}, names=["network"])
    table = table[np.isfinite(table["distance"])].reset_index("network")
    medians = table.groupby("network").median()
    colours = dict(zip(networks, sns.color_palette("colorblind", len(networks)).as_hex(), strict=True))
    figure = Figure(figsize=(style.WIDTH, 4.8))
    *axes, last = figure.subplots(2, 3, sharey=True).flat
    for ax, (quantity, (label, log)) in zip(axes, quantities.items(), strict=True):
        columns = {"x": quantity, "y": "distance", "hue": "network", "palette": colours, "ax": ax}
        sns.scatterplot(table, s=9, alpha=0.5, lw=0, legend=False, **columns)
        sns.scatterplot(medians, s=34, marker="s", lw=0.8, zorder=3, legend=False, **columns)
        ax.set(xlabel=label, ylabel="smallest adversarial\ndistance (L2)")
        if log:
            style.log_scale(ax, "x")
    style.log_scale(ax)
    last.remove()
    style.legend(figure, colours, ls="")
    return figure
