"""Chapters of the report beyond the paper: a figure, what it says, and its caveat."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from epsball.analysis.claims import ALL_NETWORKS, Verdict, at_radius
from epsball.analysis.comparisons import CORRELATIONS, QUANTITIES, TRAINING
from epsball.analysis.run import Run
from epsball.reporting.summary_text import Row, SummaryText, format_interval, summarise

_JUDGED = [Verdict.DIFFERS, Verdict.NO_DIFFERENCE]


@dataclass(frozen=True)
class Chapter:
    """A chapter.

    Attributes:
        title: title of the chapter.
        figure: name of its figure; a run without the figure has no such chapter.
        says: returns sentences and numbers from the tables of a run and its claims.
        caveat: how it misleads.
    """

    title: str
    figure: str
    says: Callable[[Run, pd.DataFrame], SummaryText]
    caveat: str


def _estimates(claims: pd.DataFrame, name: str, log_base: float | None = None) -> Row:
    """Return the estimates of a comparison with their intervals, by network; logarithms as factors."""
    rows = claims[(claims["claim"] == name) & (claims["control"] == "") & np.isfinite(claims["estimate"])]
    return {row["network"]: _interval(row, log_base) for row in rows.to_dict("records")}


def _interval(row: Mapping[Hashable, float], log_base: float | None) -> tuple[float, ...]:
    values = (row["estimate"], row["ci_low"], row["ci_high"])
    return values if log_base is None else tuple(log_base**value for value in values)


def _controls(run: Run, claims: pd.DataFrame) -> SummaryText:
    judged = claims[(claims["control"] != "") & claims["verdict"].isin(_JUDGED)]
    if judged.empty:
        return SummaryText("There are too few samples to say where a network differs from its controls.")
    alike = judged["verdict"] == Verdict.NO_DIFFERENCE
    counts = alike.groupby(judged["control"], sort=False).agg(["sum", "count"])
    shown = {str(name): f"{row['sum']} of {row['count']}" for name, row in counts.iterrows()}
    return SummaryText(
        f"In {alike.sum()} of {len(judged)} comparisons with a control no difference is shown: there the control has "
        "such a number too, which is no evidence of what the network does.",
        {"comparisons without a difference shown": shown},
    )


def _geometry(run: Run, claims: pd.DataFrame) -> SummaryText:
    one, mixed = (
        {network: float(at_radius(run, probe, network)["rho"].median()) for network in run.having(probe)}
        for probe in ("topology", "topology_mixed_radius")
    )
    return summarise(
        "At the largest radius the median of Mantel's ρ is {}; at norms mixed up to it, {}. α of Eq. 7 is nearer to a "
        "multiple of the identity than α of shuffled points, by {} at one radius and by {} at mixed norms.",
        {
            "median of Mantel's ρ at the largest radius": one,
            "median of Mantel's ρ at norms mixed up to it": mixed,
            "α nearer to c·I than shuffled, at one radius, by": _estimates(claims, "Eq. 7 at one radius"),
            "α nearer to c·I than shuffled, at mixed norms, by": _estimates(claims, "Eq. 7 at mixed radii"),
        },
    )


def _symmetry(run: Run, claims: pd.DataFrame) -> SummaryText:
    return summarise(
        "Over permutations of all elements, the range of the score is {} times that over fresh draws. Over "
        "permutations of a low-frequency perturbation, it is {} times that over fresh ones.",
        {
            "range over permutations ÷ over fresh draws": _estimates(claims, "permuted against redrawn", 2),
            "the same of a low-frequency perturbation": _estimates(
                claims, "permuted against redrawn, low frequencies", 2
            ),
        },
    )


def _frequency(run: Run, claims: pd.DataFrame) -> SummaryText:
    off, spread, kept = {}, {}, {}
    for network in run.having("frequency"):
        table = run.metrics("frequency", network)
        mean = table.groupby(["family", "filter"], as_index=False)[["measured", "parseval", "spread"]].mean()
        off[network] = 100 * float((mean["parseval"] / mean["measured"] - 1).abs().median())
        spread[network] = 100 * float(mean.loc[mean["family"] == "permuted", "spread"].median())
        energy = mean.groupby("family")["measured"].sum()
        kept[network] = float(energy["low_frequency"] / energy["permuted_low_frequency"])
    return summarise(
        "The energy that Parseval's theorem predicts is off the measured one by {} (median filter), and from one "
        "permutation of independent noise to the next it varies by {}. Low-frequency noise leaves the first layer with "
        "{} times the energy of its permutations.",
        {
            "Parseval's energy off the measured one, %": off,
            "variation from permutation to permutation, %": spread,
            "energy of low-frequency noise ÷ of its permutations": kept,
        },
    )


def _expansion(run: Run, claims: pd.DataFrame) -> SummaryText:
    return summarise(
        "At radius 1 the gradient explains a share of {} of the margin's variance; the Hessian adds {}. At the largest "
        "radius, a share of {} of the score's variance is explained by neither.",
        {
            "margin at radius 1: share that the gradient explains": _estimates(claims, "Eq. 3, gradient"),
            "share that the Hessian adds": _estimates(claims, "Eq. 3, Hessian"),
            "score at the largest radius: share that neither explains": _estimates(claims, "Eq. 3, neither"),
        },
    )


def _depth(run: Run, claims: pd.DataFrame) -> SummaryText:
    ends, losses, where = {}, {}, {}
    for network in run.having("depth"):
        table = run.metrics("depth", network)
        mixed = table[table["family"] == "mixed_radius"]
        rho = mixed.groupby("depth")["rho"].median()
        steps = rho.diff().dropna()
        layer, kind = mixed.loc[mixed["depth"] == steps.idxmin(), ["layer", "kind"]].iloc[0]
        ends[network], losses[network] = float(rho.iloc[-1]), -float(steps.min())
        where[network] = f"{layer} ({kind})" if kind else str(layer)
    return summarise(
        "Mantel's ρ at mixed norms starts at 1 at the image and ends at {}. Its largest fall in one step is {}.",
        {"ρ at mixed norms at the end": ends, "largest fall in one step": losses, "at": where},
    )


def _lipschitz(run: Run, claims: pd.DataFrame) -> SummaryText:
    tables = {network: run.metrics("lipschitz_bounds", network) for network in run.having("lipschitz_bounds")}
    reasons = {network: why for network, table in tables.items() if (why := table["unavailable"].iloc[0])}
    text = "The Jacobian's norm is {} times the sampled ratio of Eq. 9."
    if len(reasons) < len(tables):
        text += " The global bound is {} times that norm."
    found = summarise(
        text,
        {
            "Jacobian's norm ÷ sampled ratio of Eq. 9": _estimates(claims, "Jacobian against sampled", 10),
            "global bound ÷ Jacobian's norm": _estimates(claims, "global bound against Jacobian", 10),
        },
    )
    missing = (f"For {network} there is no global bound: {why}." for network, why in reasons.items())
    return replace(found, text=" ".join([found.text, *missing]))


def _boundary(run: Run, claims: pd.DataFrame) -> SummaryText:
    worst, met, missed = {}, {}, {}
    for network in run.having("boundary"):
        table = run.metrics("boundary", network).drop_duplicates(["sample", "kind", "direction"])
        attacks = table[table["kind"] == "attack"].groupby("sample")["distance"].min()
        worst[network] = float(attacks.median())
        met[network] = f"{np.isfinite(attacks).sum()} of {len(attacks)}"
        missed[network] = 100 * float(table.loc[table["kind"] == "random", "censored"].mean())
    return summarise(
        "The median of the smallest adversarial distance is {0}; no boundary is met in {2} of the random directions. "
        "The ratio of random to worst distance, both cut where the search ended, is {3} times what a flat "
        "boundary gives.",
        {
            "smallest adversarial distance, median": worst,
            "samples with an adversarial example": met,
            "random directions that meet no boundary, %": missed,
            "random ÷ worst distance ÷ a flat boundary's": _estimates(claims, "boundary against a flat one", 2),
        },
    )


def _adversarial(run: Run, claims: pd.DataFrame) -> SummaryText:
    words = {"distance": "smallest adversarial distance", **QUANTITIES}
    factors = [comparison for comparison in TRAINING if comparison.quantity != "rho"]  # for ρ it is a difference
    rows: dict[str, dict[str, str]] = {}
    for comparisons, label, log_base in (
        (CORRELATIONS, "rank correlation with {}", None),
        (factors, "adversarial training multiplies the {} by", 2),
    ):
        found = claims["claim"].isin([comparison.name for comparison in comparisons])
        for row in claims[found & np.isfinite(claims["estimate"])].to_dict("records"):
            several = row["network"] == ALL_NETWORKS
            column = f"{row['network']} of {row['dataset']}" if several else row["network"]
            mark = f"{Verdict.DIFFERS.symbol} " if row["verdict"] == Verdict.DIFFERS else ""
            cells = rows.setdefault(label.format(words[row["quantity"]]), {})
            cells[column] = mark + format_interval(_interval(row, log_base))
    verdicts = claims.loc[claims["claim"].isin([comparison.name for comparison in CORRELATIONS]), "verdict"]
    judged, differing = verdicts.isin(_JUDGED).sum(), (verdicts == Verdict.DIFFERS).sum()
    return SummaryText(
        f"Of {judged} rank correlations with the smallest adversarial distance that could be judged, {differing} "
        f"exclude 0 ({Verdict.DIFFERS.symbol}). One in twenty does so by chance.",
        rows,
    )


CHAPTERS = (
    Chapter(
        "What any function would do",
        "beyond_controls",
        _controls,
        "No difference shown is not the same as none: few samples show little. A control is one function of its kind.",
    ),
    Chapter(
        "Topology, where distances vary",
        "beyond_geometry",
        _geometry,
        "At mixed norms ρ is helped by norms alone: a random projection keeps it nearly whole. Its place is between 0 "
        "and the controls', not between 0 and 1.",
    ),
    Chapter(
        "Symmetry with structure",
        "beyond_symmetry",
        _symmetry,
        "Permutations of independent elements say nothing that fresh draws do not. Blocks of 8 × 8 are one choice of a "
        "low-frequency perturbation.",
    ),
    Chapter(
        "The frequency argument",
        "beyond_frequency",
        _frequency,
        "The first layer is linear. What the layers above make of the difference is not in this.",
    ),
    Chapter(
        "Gradient, Hessian, neither",
        "beyond_expansion",
        _expansion,
        "A piecewise linear network has no Hessian, and is not linear for that. Close to 1 the score's own curvature "
        "is the softmax's.",
    ),
    Chapter(
        "Layer by layer",
        "beyond_depth",
        _depth,
        "ρ of a layer compares it with the image, not with the layer before. Relative ratios depend on where a layer's "
        "zero is.",
    ),
    Chapter(
        "Lipschitz numbers",
        "beyond_lipschitz",
        _lipschitz,
        "The Jacobian's norm is that of radius 0, from below; the global bound holds everywhere and is far from tight; "
        "CLEVER is an estimate, no bound.",
    ),
    Chapter(
        "Worst against random",
        "beyond_boundary",
        _boundary,
        "An attack's distance bounds the smallest one from above. A scan along a ray can miss a narrow region of "
        "another class.",
    ),
    Chapter(
        "Does any of it explain adversarial examples?",
        "beyond_adversarial",
        _adversarial,
        "Samples are those that all networks are sure of: the range of margins is cut, and correlations with it.",
    ),
)
