"""Chapters of the report on the four probes of the paper: each says what figures and charts show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from epsball.analysis.claims import RHO_BAND, below_1, ratios, rho
from epsball.analysis.run import Run
from epsball.reporting.summary_text import Chapter

_SATURATED = 1e-3  # a score closer to 1 than this hides what the margin shows


def _tables(run: Run, probe: str) -> dict[str, pd.DataFrame]:
    return {network: run.metrics(probe, network) for network in run.networks}


def _median_ranges(run: Run, probe: str, radius: float) -> dict[str, float]:
    tables = _tables(run, probe)
    return {name: float(table.loc[table["radius"] == radius, "range"].median()) for name, table in tables.items()}


def _saturated(run: Run, probe: str) -> list[str]:
    """Return the networks whose scores saturate: at the smallest radius, of half of the samples.

    A sample's score saturates where its mean over the draws is within 0.001 of 1. The range of the score is then about
    1 − score times that of the margin, and tells more of the former.
    """
    smallest = next(radius for radius in run.config.ball.radii if radius > 0)
    shortfalls = {
        name: 1 - table.loc[table["radius"] == smallest, "score_mean"] for name, table in _tables(run, probe).items()
    }
    return [name for name, shortfall in shortfalls.items() if shortfall.median() < _SATURATED]


def _margin_first(chapter: Chapter, saturated: Sequence[str]) -> Chapter:
    """Put figures and charts of the margin before their twins of the score, and say so, if scores saturate."""
    if not saturated:
        return chapter
    figures, charts = list(chapter.figures), list(chapter.charts)
    for names in (figures, charts):
        for margin in [name for name in names if name.endswith("_margin")]:
            names.remove(margin)
            names.insert(names.index(margin.removesuffix("_margin")), margin)
    return replace(
        chapter,
        figures=tuple(figures),
        charts={name: chapter.charts[name] for name in charts},
        remarks=(*chapter.remarks, f"Scores of {', '.join(saturated)} are saturated, so the margin comes first."),
    )


def _isotropy(run: Run) -> Chapter:
    largest = run.config.ball.radii[-1]
    tables = _tables(run, "isotropy")
    wrong = {name: table.loc[table["radius"] == largest, "misclassified"] > 0 for name, table in tables.items()}
    chapter = Chapter(
        "Isotropy",
        f"Over draws of one norm, the median range of the score is {{}} at ε and {{}} at r = {largest:g}.",
        {
            "median range at ε": _median_ranges(run, "isotropy", run.config.ball.epsilon),
            f"median range at r = {largest:g}": _median_ranges(run, "isotropy", largest),
            "samples with a misclassified draw there": {
                name: f"{some.sum()} of {len(some)}" for name, some in wrong.items()
            },
        },
        "The two most extreme draws set a range, so it grows with the number of draws. Near 1, a score is saturated "
        "and hides what the margin shows. Random directions are not the worst ones.",
        question="Does the score depend on the direction of a perturbation, or only on its norm?",
        charts={"isotropy": "Range of the score", "isotropy_margin": "Range of the margin, which does not saturate"},
        figures=("fig1_isotropy", "fig1_isotropy_margin"),
    )
    return _margin_first(chapter, _saturated(run, "isotropy"))


def _symmetry(run: Run) -> Chapter:
    largest = run.config.ball.radii[-1]
    chapter = Chapter(
        "Symmetry",
        f"Over permutations of one perturbation of r = {largest:g}, the median range of the score is {{}}; over fresh "
        "draws it is {}.",
        {
            f"median range over permutations, r = {largest:g}": _median_ranges(run, "symmetry", largest),
            f"median range over fresh draws, r = {largest:g}": _median_ranges(run, "isotropy", largest),
        },
        "A permutation of independent elements is nearly another draw, so for any function this looks like isotropy. "
        "The claims therefore look at how symmetry differs from isotropy.",
        question="Does the score change when the elements of a perturbation are permuted?",
        charts={
            "symmetry": "Range of the score over permutations",
            "symmetry_margin": "Range of the margin over permutations",
        },
        figures=("fig2_illustration", "fig3_symmetry", "fig3_symmetry_margin"),
    )
    return _margin_first(chapter, _saturated(run, "symmetry"))


def _topology(run: Run) -> Chapter:
    share = {
        name: 100 * float((table["rho"].dropna().abs() < RHO_BAND).mean())
        for name, table in _tables(run, "topology").items()
    }
    medians = {name: float(rho(run, name).median()) for name in share}
    return Chapter(
        "Topology",
        f"The median of ρ, mean over radii, is {{}}. At one radius |ρ| is below {RHO_BAND:g} in {{}} of samples and "
        "radii.",
        {"median of ρ, mean over radii": medians, f"samples and radii with |ρ| < {RHO_BAND:g}, %": share},
        "At one radius all distances between perturbed images are nearly equal, and ρ is small even for a linear "
        "function. A low ρ at one radius does not show that the network folds its input. Chance alone moves one ρ by "
        "about √2 / T, with T draws, and so the share of |ρ| below a bound; it hardly moves the median over samples of "
        "the mean over radii.",
        question="Do perturbed images that are close to each other stay close in the last layer?",
        charts={"topology": "Mantel's ρ; the band is the paper's |ρ| < 0.1"},
        figures=("fig4_topology",),
    )


def _lipschitz(run: Run) -> Chapter:
    found = {name: ratios(run, name) for name in run.networks}
    medians = {name: float(ratio.median()) for name, ratio in found.items()}
    below = {name: 100 * float((ratio < 1).mean()) for name, ratio in found.items()}
    largest = {name: 100 * float(below_1(run, name)["all"].mean()) for name in found}
    return Chapter(
        "Lipschitz",
        "The median ratio is {}. {} of the ratios are below 1, where a perturbed image comes closer; in {} of the "
        "samples all of them are.",
        {"median ratio": medians, "ratios below 1, %": below, "samples whose largest ratio is below 1, %": largest},
        "Random directions estimate the root mean square of the slopes. The largest slope can be a hundred times "
        "larger. Whether a ratio is below 1 depends on how both sides are normalised.",
        question="Do perturbed images come closer to the clean one, from the input to the last layer?",
        charts={"lipschitz": "Ratio of distances after and before the network; dashed: 1"},
        figures=("fig6_lipschitz", "fig6_lipschitz_ratio", "fig5_functions"),
    )


PROBE_CHAPTERS = {
    "isotropy": _isotropy,
    "symmetry": _symmetry,
    "topology": _topology,
    "lipschitz": _lipschitz,
}
