"""Chapters of the report beyond the paper: each says what a figure shows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from epsball.analysis import across_networks
from epsball.analysis.claims import ALL_NETWORKS, JUDGED, Verdict, at_radius
from epsball.analysis.comparisons import CORRELATIONS, QUANTITIES, TRAINING
from epsball.analysis.intervals import LEVEL
from epsball.analysis.properties import ACCURACY, DISTANCE, FACTOR, PROPERTIES, factors, frontier
from epsball.analysis.run import Run
from epsball.analysis.statistics import SMALLEST
from epsball.errors import listed
from epsball.reporting.summary_text import NOTHING, Chapter, Row, format_cell

_NAMED = 5  # networks in a sentence


def _estimates(claims: pd.DataFrame, name: str) -> Row:
    """Return the estimates of a comparison with their intervals, by network."""
    rows = claims[(claims["claim"] == name) & (claims["control"] == "") & np.isfinite(claims["estimate"])]
    return {row["network"]: _interval(row) for row in rows.to_dict("records")}


def _interval(row: Mapping[Hashable, float]) -> tuple[float, ...]:
    return (row["estimate"], row["ci_low"], row["ci_high"])


def _controls(run: Run, claims: pd.DataFrame) -> Chapter:
    judged = claims[(claims["control"] != "") & claims["adjusted_verdict"].isin(JUDGED)]
    words = {
        Verdict.EQUIVALENT: "equivalent",
        Verdict.DIFFERS: "different",
        Verdict.UNDECIDED: "undecided",
    }
    rows = {
        f"comparisons: {word}": {
            str(name): f"{(same['adjusted_verdict'] == verdict).sum()} of {len(same)}"
            for name, same in judged.groupby("control", sort=False)
        }
        for verdict, word in words.items()
    }
    counts = [int((judged["adjusted_verdict"] == verdict).sum()) for verdict in words]
    sentences = (
        f"Of {len(judged)} comparisons with a control, judged together, {counts[0]} find it equivalent to the network: "
        f"such a number is no evidence of what the network does. {counts[1]} find a difference, and {counts[2]} are "
        "undecided."
    )
    ratio, difference = SMALLEST["ratio"], SMALLEST["difference"]
    return Chapter(
        "What any function would do",
        sentences if len(judged) else "There are too few samples to say where a network differs from its controls.",
        rows if len(judged) else {},
        f"Equivalent is what lies within a factor of {ratio:g}, of shares and correlations within {difference:g}; that "
        "is ours, and fixed. Few samples leave much undecided. A control is one function of its kind.",
    )


def _geometry(run: Run, claims: pd.DataFrame) -> Chapter:
    one, mixed = (
        {network: float(at_radius(run, probe, network)["rho"].median()) for network in run.having(probe)}
        for probe in ("topology", "topology_mixed_radius")
    )
    return Chapter(
        "Topology, where distances vary",
        "At the largest radius the median of Mantel's ρ is {}; at norms mixed up to it, {}. α of Eq. 7 is nearer to a "
        "multiple of the identity than α of shuffled points, by {} at one radius and by {} at mixed norms.",
        {
            "median of Mantel's ρ at the largest radius": one,
            "median of Mantel's ρ at norms mixed up to it": mixed,
            "α nearer to c·I than shuffled, at one radius, by": _estimates(claims, "Eq. 7 at one radius"),
            "α nearer to c·I than shuffled, at mixed norms, by": _estimates(claims, "Eq. 7 at mixed radii"),
        },
        "At mixed norms ρ is helped by norms alone: a random projection keeps it nearly whole. Its place is between 0 "
        "and the controls', not between 0 and 1.",
    )


def _symmetry(run: Run, claims: pd.DataFrame) -> Chapter:
    return Chapter(
        "Symmetry with structure",
        "Over permutations of all elements, the range of the score is {} times that over fresh draws. Over "
        "permutations of a low-frequency perturbation, it is {} times that over fresh ones.",
        {
            "range over permutations ÷ over fresh draws": _estimates(claims, "permuted against redrawn"),
            "the same of a low-frequency perturbation": _estimates(claims, "permuted against redrawn, low frequencies"),
        },
        "Permutations of independent elements say nothing that fresh draws do not. Blocks of 8 × 8 are one choice of a "
        "low-frequency perturbation.",
    )


def _frequency(run: Run, claims: pd.DataFrame) -> Chapter:
    off, spread, kept = {}, {}, {}
    for network in run.having("frequency"):
        table = run.metrics("frequency", network)
        mean = table.groupby(["family", "filter"], as_index=False)[["measured", "parseval", "spread"]].mean()
        off[network] = 100 * float((mean["parseval"] / mean["measured"] - 1).abs().median())
        spread[network] = 100 * float(mean.loc[mean["family"] == "permuted", "spread"].median())
        energy = mean.groupby("family")["measured"].sum()
        kept[network] = float(energy["low_frequency"] / energy["permuted_low_frequency"])
    return Chapter(
        "The frequency argument",
        "The energy that Parseval's theorem predicts is off the measured one by {} (median filter), and from one "
        "permutation of independent noise to the next it varies by {}. Low-frequency noise leaves the first layer with "
        "{} times the energy of its permutations.",
        {
            "Parseval's energy off the measured one, %": off,
            "variation from permutation to permutation, %": spread,
            "energy of low-frequency noise ÷ of its permutations": kept,
        },
        "The first layer is linear. What the layers above make of the difference is not in this.",
    )


def _expansion(run: Run, claims: pd.DataFrame) -> Chapter:
    return Chapter(
        "Gradient, Hessian, neither",
        "At radius 1 the gradient explains a share of {} of the margin's variance; the Hessian adds {}. At the largest "
        "radius, a share of {} of the score's variance is explained by neither.",
        {
            "margin at radius 1: share that the gradient explains": _estimates(claims, "Eq. 3, gradient"),
            "share that the Hessian adds": _estimates(claims, "Eq. 3, Hessian"),
            "score at the largest radius: share that neither explains": _estimates(claims, "Eq. 3, neither"),
        },
        "A piecewise linear network has no Hessian, and is not linear for that. Close to 1 the score's own curvature "
        "is the softmax's.",
    )


def _depth(run: Run, claims: pd.DataFrame) -> Chapter:
    ends, losses, where = {}, {}, {}
    for network in run.having("depth"):
        table = run.metrics("depth", network)
        mixed = table[table["family"] == "mixed_radius"]
        rho = mixed.groupby("depth")["rho"].median()
        steps = rho.diff().dropna()
        layer, kind = mixed.loc[mixed["depth"] == steps.idxmin(), ["layer", "kind"]].iloc[0]
        ends[network], losses[network] = float(rho.iloc[-1]), -float(steps.min())
        where[network] = f"{layer} ({kind})" if kind else str(layer)
    return Chapter(
        "Layer by layer",
        "Mantel's ρ at mixed norms starts at 1 at the image and ends at {}. Its largest fall in one step is {}.",
        {"ρ at mixed norms at the end": ends, "largest fall in one step": losses, "at": where},
        "ρ of a layer compares it with the image, not with the layer before. Relative ratios depend on where a layer's "
        "zero is.",
    )


def _lipschitz(run: Run, claims: pd.DataFrame) -> Chapter:
    tables = {network: run.metrics("lipschitz_bounds", network) for network in run.having("lipschitz_bounds")}
    reasons = {network: why for network, table in tables.items() if (why := table["unavailable"].iloc[0])}
    text = "The Jacobian's norm is {} times the sampled ratio of Eq. 9."
    if len(reasons) < len(tables):
        text += " The global bound is {} times that norm."
    return Chapter(
        "Lipschitz numbers",
        text,
        {
            "Jacobian's norm ÷ sampled ratio of Eq. 9": _estimates(claims, "Jacobian against sampled"),
            "global bound ÷ Jacobian's norm": _estimates(claims, "global bound against Jacobian"),
        },
        "The Jacobian's norm is that of radius 0, from below; the global bound holds everywhere and is far from tight; "
        "CLEVER is an estimate, no bound.",
        remarks=tuple(f"For {network} there is no global bound: {why}." for network, why in reasons.items()),
    )


def _boundary(run: Run, claims: pd.DataFrame) -> Chapter:
    worst, met, missed = {}, {}, {}
    for network in run.having("boundary"):
        table = run.metrics("boundary", network).drop_duplicates(["sample", "kind", "direction"])
        attacks = table[table["kind"] == "attack"].groupby("sample")["distance"].min()
        worst[network] = float(attacks.median())
        met[network] = f"{np.isfinite(attacks).sum()} of {len(attacks)}"
        missed[network] = 100 * float(table.loc[table["kind"] == "random", "censored"].mean())
    return Chapter(
        "Worst against random",
        "The median of the smallest adversarial distance is {0}; no boundary is met in {2} of the random directions. "
        "The ratio of random to worst distance, both cut where the search ended, is {3} times what a flat "
        "boundary gives.",
        {
            "smallest adversarial distance, median": worst,
            "samples with an adversarial example": met,
            "random directions that meet no boundary, %": missed,
            "random ÷ worst distance ÷ a flat boundary's": _estimates(claims, "boundary against a flat one"),
        },
        "An attack's distance bounds the smallest one from above. A scan along a ray can miss a narrow region of "
        "another class.",
    )


def _adversarial(run: Run, claims: pd.DataFrame) -> Chapter:
    words = {"distance": "smallest adversarial distance", **QUANTITIES}
    factors = [comparison for comparison in TRAINING if comparison.quantity != "rho"]  # for ρ it is a difference
    rows: dict[str, dict[str, str]] = {}
    for comparisons, label in (
        (CORRELATIONS, "rank correlation with {}"),
        (factors, "adversarial training multiplies the {} by"),
    ):
        found = claims["claim"].isin([comparison.name for comparison in comparisons])
        for row in claims[found & np.isfinite(claims["estimate"])].to_dict("records"):
            several = row["network"] == ALL_NETWORKS
            column = f"{row['network']} of {row['dataset']}" if several else row["network"]
            mark = f"{Verdict.DIFFERS.symbol} " if row["adjusted_verdict"] == Verdict.DIFFERS else ""
            cells = rows.setdefault(label.format(words[row["quantity"]]), {})
            cells[column] = mark + format_cell(_interval(row))
    verdicts = claims.loc[claims["claim"].isin([comparison.name for comparison in CORRELATIONS]), "adjusted_verdict"]
    judged, differing = verdicts.isin(JUDGED).sum(), (verdicts == Verdict.DIFFERS).sum()
    return Chapter(
        "Does any of it explain adversarial examples?",
        f"Of {judged} rank correlations with the smallest adversarial distance that could be judged, {differing} "
        f"exclude 0 ({Verdict.DIFFERS.symbol}) when all verdicts of the run are judged together.",
        rows,
        "Samples are those that all networks are sure of: the range of margins is cut, and correlations with it.",
    )


def _across(run: Run, claims: pd.DataFrame) -> Chapter:
    related = run.across_networks
    related["sure"] = related["p_adjusted"] < 1 - LEVEL
    of_partial, of_gain = (related[related["statistic"] == name] for name in ("partial correlation", "gain"))
    text = (
        f"From network to network, {_counted(of_partial, 'goes', 'go')} with the smallest adversarial distance beyond "
        "what clean margin and accuracy say (partial rank correlation, all properties together)."
    )
    if len(of_gain):
        first = run.properties.pipe(factors)[0].removeprefix(FACTOR)
        predict = _counted(of_gain, "predicts", "predict")
        text += f" {predict} it better than these two do, of networks of another {first}."
    several = len(set(related["dataset"])) > 1
    for dataset, table in run.properties.groupby("dataset", sort=False):
        best = (f"{name} ({row[DISTANCE]:.3g}, {row[ACCURACY]:.1%})" for name, row in frontier(table).iterrows())
        of_dataset = f" on {dataset}" if several else ""
        text += f" The most robust for their accuracy{of_dataset} (median distance, accuracy): {listed(best, _NAMED)}."
    if related.empty:
        text = across_networks.NOTHING
    rows: dict[str, dict[str, str]] = {}
    for row in related[related["estimate"].notna()].to_dict("records"):
        dataset = f" ({row['dataset']})" if several else ""
        cell = format_cell((row["estimate"], row["low"], row["high"]))
        mark = f"{Verdict.DIFFERS.symbol} " if row["sure"] else ""
        columns = dict.fromkeys(related["statistic"].unique(), NOTHING)
        rows.setdefault(PROPERTIES[row["property"]].words + dataset, columns)[row["statistic"]] = mark + cell
    return Chapter(
        "Does any of it explain adversarial examples, from network to network?",
        text,
        rows,
        "Networks of one architecture or way of training are alike: fewer of them are independent. Both the distance "
        "and some properties are of the margin, so that they share its scale. The distance is that of the best attack, "
        "an upper bound.",
        figures=("across_correlations", "across_networks"),
    )


def _counted(related: pd.DataFrame, one: str, several: str) -> str:
    sure = int(related["sure"].sum())
    return f"{sure} of {len(related)} properties {one if sure == 1 else several}"


CHAPTERS = {  # by figure; a run without the figure has no such chapter
    "across_correlations": _across,
    "beyond_controls": _controls,
    "beyond_geometry": _geometry,
    "beyond_symmetry": _symmetry,
    "beyond_frequency": _frequency,
    "beyond_expansion": _expansion,
    "beyond_depth": _depth,
    "beyond_lipschitz": _lipschitz,
    "beyond_boundary": _boundary,
    "beyond_adversarial": _adversarial,
}
