"""Chapters of the report beyond the paper: a figure, what it says in sentences made of the numbers, and its caveat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from epsball.claims import ALL_NETWORKS
from epsball.explaining import QUANTITIES, at_largest
from epsball.results import Results

Says = Callable[[Results, pd.DataFrame], str]


@dataclass(frozen=True)
class Chapter:
    """A chapter.

    Attributes:
        title: of the chapter.
        figure: name of its figure; a run without it has no such chapter.
        says: sentences from the tables of a run and from its claims.
        caveat: how it misleads.
    """

    title: str
    figure: str
    says: Says
    caveat: str


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if np.isfinite(value) else "∞" if value > 0 else "not measured"


def _each(values: dict[str, str]) -> str:
    return ", ".join(f"{value} for {network}" for network, value in values.items())


def _judged(claims: pd.DataFrame, claim: str, of: Callable[[float], float] = lambda value: value) -> str:
    """The estimates of a claim with their intervals, network by network."""
    rows = claims[(claims["claim"] == claim) & (claims["control"] == "")]
    found = {
        row["network"]: "{} ({} to {})".format(*(number(of(row[key])) for key in ("estimate", "ci_low", "ci_high")))
        for row in rows.to_dict("records")
        if np.isfinite(row["estimate"])
    }
    return _each(found) if found else "not measured"


def _doubled(value: float) -> float:
    return float(2**value)


def _tenfold(value: float) -> float:
    return float(10**value)


def _controls(results: Results, claims: pd.DataFrame) -> str:
    rows = claims[claims["control"] != ""]
    judged = rows[rows["verdict"].isin(["differs", "no difference shown"])]
    if judged.empty:
        return "There are too few samples to say where a network differs from its controls."
    alike = judged["verdict"] == "no difference shown"
    counts = alike.groupby(judged["control"], sort=False).agg(["sum", "count"])
    by_control = ", ".join(f"{name} {row['sum']} of {row['count']}" for name, row in counts.iterrows())
    return (
        f"In {alike.sum()} of {len(judged)} comparisons with a control no difference is shown: there the number is the "
        f"control's too, and no evidence of what the network does. By control: {by_control}."
    )


def _geometry(results: Results, claims: pd.DataFrame) -> str:
    medians = {
        probe: _each(
            {name: number(at_largest(results, name, probe, "rho").median()) for name in results.config.networks}
        )
        for probe in ("topology", "topology_mixed")
    }
    return (
        f"At the largest radius the median of Mantel's ρ is {medians['topology']}; at norms mixed up to it, "
        f"{medians['topology_mixed']}. By Eq. 7, α is nearer to a multiple of the identity than with its points "
        f"shuffled by {_judged(claims, 'Eq. 7 at one radius')} at one radius, and at mixed norms by "
        f"{_judged(claims, 'Eq. 7 at mixed radii')}."
    )


def _symmetry(results: Results, claims: pd.DataFrame) -> str:
    uniform = _judged(claims, "permuted against redrawn", _doubled)
    coarse = _judged(claims, "permuted against redrawn, low frequencies", _doubled)
    return (
        f"The range of the score over permutations of all elements is that of fresh draws times {uniform}. Of a "
        f"low-frequency perturbation, over its permutations, it is that of fresh ones times {coarse}."
    )


def _frequency(results: Results, claims: pd.DataFrame) -> str:
    agree, spread, lost = {}, {}, {}
    for network in results.config.networks:
        table = results.metrics(network, "frequency")
        mean = table.groupby(["family", "filter"], as_index=False)[["measured", "parseval", "spread"]].mean()
        agree[network] = f"{100 * (mean['parseval'] / mean['measured'] - 1).abs().median():.1f}%"
        spread[network] = f"{100 * mean.loc[mean['family'] == 'permuted', 'spread'].median():.1f}%"
        energy = mean.groupby("family")["measured"].sum()
        lost[network] = number(energy["coarse"] / energy["permuted_coarse"])
    return (
        f"The energy that Parseval's theorem predicts is that measured within {_each(agree)} (median filter), and from "
        f"one permutation of independent noise to the next it varies by {_each(spread)}. Low-frequency noise leaves "
        f"the first layer with more energy than its permutations, by a factor of {_each(lost)}."
    )


def _expansion(results: Results, claims: pd.DataFrame) -> str:
    return (
        f"At radius 1 the gradient explains a share of the margin's variance of {_judged(claims, 'Eq. 3, gradient')}; "
        f"the Hessian adds {_judged(claims, 'Eq. 3, Hessian')}. Of the score's at the largest radius, neither explains "
        f"{_judged(claims, 'Eq. 3, neither')}."
    )


def _depth(results: Results, claims: pd.DataFrame) -> str:
    ends, losses = {}, {}
    for network in results.config.networks:
        table = results.metrics(network, "depth")
        mixed = table[table["family"] == "mixed"]
        rho = mixed.groupby("depth")["rho"].median()
        steps = rho.diff().dropna()
        layer, kind = mixed.loc[mixed["depth"] == steps.idxmin(), ["layer", "kind"]].iloc[0]
        ends[network] = number(rho.iloc[-1])
        losses[network] = f"{layer} ({kind}, {number(steps.min())})"
    return (
        f"From 1 at the image, Mantel's ρ at mixed norms ends at {_each(ends)}. In one step it falls most at "
        f"{_each(losses)}."
    )


def _lipschitz(results: Results, claims: pd.DataFrame) -> str:
    reasons = {
        network: str(table["unavailable"].iloc[0])
        for network in results.config.networks
        if (table := results.metrics(network, "lipschitz_bounds"))["unavailable"].iloc[0]
    }
    said = [
        "The Jacobian's norm is the sampled ratio of Eq. 9 times "
        f"{_judged(claims, 'Jacobian against sampled', _tenfold)}."
    ]
    if len(reasons) < len(results.config.networks):
        times = _judged(claims, "global bound against Jacobian", _tenfold)
        said.append(f"The global bound is that norm times {times}.")
    said += [f"For {network} there is no global bound: {why}." for network, why in reasons.items()]
    return " ".join(said)


def _boundary(results: Results, claims: pd.DataFrame) -> str:
    worst, missed = {}, {}
    for network in results.config.networks:
        table = results.metrics(network, "boundary").drop_duplicates(["sample", "kind", "direction"])
        attacks = table[table["kind"] == "attack"].groupby("sample")["distance"].min()
        met = np.isfinite(attacks)
        worst[network] = f"{number(attacks.median())} ({met.sum()} of {len(met)} samples)"
        missed[network] = f"{100 * table.loc[table['kind'] == 'random', 'censored'].mean():.0f}%"
    return (
        f"The median of the smallest adversarial distance is {_each(worst)}; no boundary is met in {_each(missed)} of "
        "the random directions. The ratio of random to worst distance, both cut where the search ended, is what a flat "
        f"boundary gives times {_judged(claims, 'boundary against a flat one', _doubled)}."
    )


def _adversarial(results: Results, claims: pd.DataFrame) -> str:
    rows = claims[claims["claim"].str.startswith("explains adversarial examples")]
    shown = rows[rows["verdict"] == "differs"]
    judged = rows["verdict"].isin(["differs", "no difference shown"]).sum()
    found = _listed(shown)
    said = (
        f"Of {judged} rank correlations with the smallest adversarial distance that could be judged, {len(shown)} "
        f"exclude 0{': ' + found if found else ''}. One in twenty does so by chance."
    )
    trained = claims[claims["claim"].str.startswith("adversarial training: ") & (claims["verdict"] == "differs")]
    changed = trained.assign(
        estimate=2 ** trained["estimate"], ci_low=2 ** trained["ci_low"], ci_high=2 ** trained["ci_high"]
    )
    changed = changed[changed["claim"] != "adversarial training: rho"]
    return said + (f" Adversarial training multiplies {_listed(changed)}." if len(changed) else "")


def _listed(rows: pd.DataFrame) -> str:
    words = {name: words for name, (_, words) in QUANTITIES.items()} | {"distance": "the smallest adversarial distance"}
    return ", ".join(
        f"{words[row['claim'].split(': ')[1]]} for {row['network']}"
        f"{' of ' + row['dataset'] if row['network'] == ALL_NETWORKS else ''} ({number(row['estimate'])}, "
        f"{number(row['ci_low'])} to {number(row['ci_high'])})"
        for row in rows.to_dict("records")
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
