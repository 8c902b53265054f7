"""Chapters of the report beyond the paper: a figure, what it says, and its caveat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from epsball.analysis.adversarial_correlates import QUANTITIES, at_largest
from epsball.analysis.claims import ALL_NETWORKS, SYMBOLS
from epsball.analysis.run import Run
from epsball.reporting.summary_text import SummaryText, format_interval, format_range

Says = Callable[[Run, pd.DataFrame], SummaryText]

_INTERVAL = ("estimate", "ci_low", "ci_high")


@dataclass(frozen=True)
class Chapter:
    """A chapter.

    Attributes:
        title: of the chapter.
        figure: name of its figure; a run without it has no such chapter.
        says: sentences and numbers from the tables of a run and from its claims.
        caveat: how it misleads.
    """

    title: str
    figure: str
    says: Says
    caveat: str


def _judged(
    claims: pd.DataFrame, claim: str, of: Callable[[float], float] = lambda value: value
) -> dict[str, tuple[float, ...]]:
    """The estimates of a claim with their intervals, network by network."""
    rows = claims[(claims["claim"] == claim) & (claims["control"] == "")]
    return {
        row["network"]: tuple(of(row[key]) for key in _INTERVAL)
        for row in rows.to_dict("records")
        if np.isfinite(row["estimate"])
    }


def _doubled(value: float) -> float:
    return float(2**value)


def _tenfold(value: float) -> float:
    return float(10**value)


def _controls(results: Run, claims: pd.DataFrame) -> SummaryText:
    rows = claims[claims["control"] != ""]
    judged = rows[rows["verdict"].isin(["differs", "no difference shown"])]
    if judged.empty:
        return SummaryText("There are too few samples to say where a network differs from its controls.")
    alike = judged["verdict"] == "no difference shown"
    counts = alike.groupby(judged["control"], sort=False).agg(["sum", "count"])
    return SummaryText(
        f"In {alike.sum()} of {len(judged)} comparisons with a control no difference is shown: there the number is the "
        "control's too, and no evidence of what the network does.",
        {
            "comparisons without a difference shown": {
                str(name): f"{row['sum']} of {row['count']}" for name, row in counts.iterrows()
            }
        },
    )


def _geometry(results: Run, claims: pd.DataFrame) -> SummaryText:
    one, mixed = (
        {name: float(at_largest(results, name, probe, "rho").median()) for name in results.config.networks}
        for probe in ("topology", "topology_mixed_radius")
    )
    nearer, nearer_mixed = (_judged(claims, f"Eq. 7 at {where}") for where in ("one radius", "mixed radii"))
    return SummaryText(
        f"At the largest radius the median of Mantel's ρ is {format_range(one)}; at norms mixed up to it, "
        f"{format_range(mixed)}. α of Eq. 7 is nearer to a multiple of the identity than with its points shuffled by "
        f"{format_range(nearer)} at one radius, and by {format_range(nearer_mixed)} at mixed norms.",
        {
            "median of Mantel's ρ at the largest radius": one,
            "median of Mantel's ρ at norms mixed up to it": mixed,
            "α nearer to c·I than shuffled, at one radius, by": nearer,
            "α nearer to c·I than shuffled, at mixed norms, by": nearer_mixed,
        },
    )


def _symmetry(results: Run, claims: pd.DataFrame) -> SummaryText:
    uniform = _judged(claims, "permuted against redrawn", _doubled)
    coarse = _judged(claims, "permuted against redrawn, low frequencies", _doubled)
    return SummaryText(
        "The range of the score over permutations of all elements is that of fresh draws times "
        f"{format_range(uniform)}. Of a low-frequency perturbation, over its permutations, it is that of fresh ones "
        f"times {format_range(coarse)}.",
        {
            "range over permutations ÷ over fresh draws": uniform,
            "the same of a low-frequency perturbation": coarse,
        },
    )


def _frequency(results: Run, claims: pd.DataFrame) -> SummaryText:
    off, spread, kept = {}, {}, {}
    for network in results.config.networks:
        table = results.metrics("frequency", network)
        mean = table.groupby(["family", "filter"], as_index=False)[["measured", "parseval", "spread"]].mean()
        off[network] = 100 * float((mean["parseval"] / mean["measured"] - 1).abs().median())
        spread[network] = 100 * float(mean.loc[mean["family"] == "permuted", "spread"].median())
        energy = mean.groupby("family")["measured"].sum()
        kept[network] = float(energy["low_frequency"] / energy["permuted_low_frequency"])
    return SummaryText(
        f"The energy that Parseval's theorem predicts is off the measured one by {format_range(off, '%')} (median "
        f"filter), and from one permutation of independent noise to the next it varies by {format_range(spread, '%')}. "
        f"Low-frequency noise leaves the first layer with the energy of its permutations times {format_range(kept)}.",
        {
            "Parseval's energy off the measured one, %": off,
            "variation from permutation to permutation, %": spread,
            "energy of low-frequency noise ÷ of its permutations": kept,
        },
    )


def _expansion(results: Run, claims: pd.DataFrame) -> SummaryText:
    gradient, hessian, neither = (_judged(claims, f"Eq. 3, {part}") for part in ("gradient", "Hessian", "neither"))
    return SummaryText(
        f"At radius 1 the gradient explains a share of the margin's variance of {format_range(gradient)}; the Hessian "
        f"adds {format_range(hessian)}. Of the score's at the largest radius, neither explains "
        f"{format_range(neither)}.",
        {
            "margin at radius 1: share that the gradient explains": gradient,
            "share that the Hessian adds": hessian,
            "score at the largest radius: share that neither explains": neither,
        },
    )


def _depth(results: Run, claims: pd.DataFrame) -> SummaryText:
    ends, losses, where = {}, {}, {}
    for network in results.config.networks:
        table = results.metrics("depth", network)
        mixed = table[table["family"] == "mixed_radius"]
        rho = mixed.groupby("depth")["rho"].median()
        steps = rho.diff().dropna()
        layer, kind = mixed.loc[mixed["depth"] == steps.idxmin(), ["layer", "kind"]].iloc[0]
        ends[network], losses[network] = float(rho.iloc[-1]), -float(steps.min())
        where[network] = f"{layer} ({kind})" if kind else str(layer)
    return SummaryText(
        f"From 1 at the image, Mantel's ρ at mixed norms ends at {format_range(ends)}. Its largest fall in one step is "
        f"{format_range(losses)}.",
        {
            "ρ at mixed norms at the end": ends,
            "largest fall in one step": losses,
            "at": where,
        },
    )


def _lipschitz(results: Run, claims: pd.DataFrame) -> SummaryText:
    reasons = {
        network: str(table["unavailable"].iloc[0])
        for network in results.config.networks
        if (table := results.metrics("lipschitz_bounds", network))["unavailable"].iloc[0]
    }
    jacobian = _judged(claims, "Jacobian against sampled", _tenfold)
    bound = _judged(claims, "global bound against Jacobian", _tenfold)
    said = [f"The Jacobian's norm is the sampled ratio of Eq. 9 times {format_range(jacobian)}."]
    if len(reasons) < len(results.config.networks):
        said.append(f"The global bound is that norm times {format_range(bound)}.")
    said += [f"For {network} there is no global bound: {why}." for network, why in reasons.items()]
    return SummaryText(
        " ".join(said),
        {"Jacobian's norm ÷ sampled ratio of Eq. 9": jacobian, "global bound ÷ Jacobian's norm": bound},
    )


def _boundary(results: Run, claims: pd.DataFrame) -> SummaryText:
    worst, met, missed = {}, {}, {}
    for network in results.config.networks:
        table = results.metrics("boundary", network).drop_duplicates(["sample", "kind", "direction"])
        attacks = table[table["kind"] == "attack"].groupby("sample")["distance"].min()
        worst[network] = float(attacks.median())
        met[network] = f"{np.isfinite(attacks).sum()} of {len(attacks)}"
        missed[network] = 100 * float(table.loc[table["kind"] == "random", "censored"].mean())
    flat = _judged(claims, "boundary against a flat one", _doubled)
    return SummaryText(
        f"The median of the smallest adversarial distance is {format_range(worst)}; no boundary is met in "
        f"{format_range(missed, '%')} of the random directions. The ratio of random to worst distance, both cut where "
        f"the search ended, is what a flat boundary gives times {format_range(flat)}.",
        {
            "smallest adversarial distance, median": worst,
            "samples with an adversarial example": met,
            "random directions that meet no boundary, %": missed,
            "random ÷ worst distance ÷ a flat boundary's": flat,
        },
    )


def _adversarial(results: Run, claims: pd.DataFrame) -> SummaryText:
    explains = claims[claims["claim"].str.startswith("explains adversarial examples")]
    trained = claims[claims["claim"].str.startswith("adversarial training: ")]
    trained = trained[trained["claim"] != "adversarial training: rho"]  # a difference, no factor
    words = {name: words for name, (_, words) in QUANTITIES.items()} | {"distance": "smallest adversarial distance"}
    rows: dict[str, dict[str, str]] = {}
    for found, said, of in (
        (explains, "rank correlation with {}", float),
        (trained, "adversarial training multiplies the {} by", _doubled),
    ):
        for row in found.to_dict("records"):
            if not np.isfinite(row["estimate"]):
                continue
            several = row["network"] == ALL_NETWORKS
            column = f"{row['network']} of {row['dataset']}" if several else row["network"]
            mark = f"{SYMBOLS['differs']} " if row["verdict"] == "differs" else ""
            of_quantity = rows.setdefault(said.format(words[row["claim"].split(": ")[1]]), {})
            of_quantity[column] = mark + format_interval(tuple(of(row[key]) for key in _INTERVAL))
    judged = explains["verdict"].isin(["differs", "no difference shown"]).sum()
    excluded = (explains["verdict"] == "differs").sum()
    return SummaryText(
        f"Of {judged} rank correlations with the smallest adversarial distance that could be judged, {excluded} "
        f"exclude 0 ({SYMBOLS['differs']}). One in twenty does so by chance.",
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
