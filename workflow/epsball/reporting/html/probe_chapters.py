"""Chapters of the report on the four probes of the paper: what each says, and how it misleads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from epsball.analysis.claims import RHO_BAND
from epsball.analysis.run import Run
from epsball.reporting.summary_text import SummaryText, format_range


@dataclass(frozen=True)
class ProbeChapter:
    """A chapter.

    Attributes:
        probe: name of the probe.
        title: title of the chapter.
        question: question that the probe answers.
        says: makes sentences and numbers from the tables of a run.
        caveat: how the probe misleads.
        charts: names of its charts, with their titles.
        figures: names of its figures.
    """

    probe: str
    title: str
    question: str
    says: Callable[[Run], SummaryText]
    caveat: str
    charts: dict[str, str]
    figures: tuple[str, ...]


def _tables(run: Run, probe: str) -> dict[str, pd.DataFrame]:
    return {network: run.metrics(probe, network) for network in run.networks}


def _medians(tables: Mapping[str, pd.DataFrame], radius: float) -> dict[str, float]:
    return {name: float(table.loc[table["radius"] == radius, "range"].median()) for name, table in tables.items()}


def _isotropy(run: Run) -> SummaryText:
    largest, tables = run.config.ball.radii[-1], _tables(run, "isotropy")
    least, most = (_medians(tables, radius) for radius in (run.config.ball.epsilon, largest))
    wrong = {name: table.loc[table["radius"] == largest, "misclassified"] > 0 for name, table in tables.items()}
    return SummaryText(
        f"Over draws of one norm, the median range of the score is {format_range(least)} at ε and "
        f"{format_range(most)} at r = {largest:g}.",
        {
            "median range at ε": least,
            f"median range at r = {largest:g}": most,
            "samples with a misclassified draw there": {
                name: f"{some.sum()} of {len(some)}" for name, some in wrong.items()
            },
        },
    )


def _symmetry(run: Run) -> SummaryText:
    largest = run.config.ball.radii[-1]
    permuted, drawn = (_medians(_tables(run, probe), largest) for probe in ("symmetry", "isotropy"))
    return SummaryText(
        f"Over permutations of one perturbation of r = {largest:g}, the median range of the score is "
        f"{format_range(permuted)}; over fresh draws it is {format_range(drawn)}.",
        {
            f"median range over permutations, r = {largest:g}": permuted,
            f"median range over fresh draws, r = {largest:g}": drawn,
        },
    )


def _topology(run: Run) -> SummaryText:
    rho = {name: table["rho"].dropna().abs() for name, table in _tables(run, "topology").items()}
    share = {name: 100 * float((values < RHO_BAND).mean()) for name, values in rho.items()}
    return SummaryText(
        f"|ρ| is below {RHO_BAND:g} in {format_range(share, '%')} of samples and radii.",
        {f"samples and radii with |ρ| < {RHO_BAND:g}, %": share},
    )


def _lipschitz(run: Run) -> SummaryText:
    ratios = {name: table["ratio"].dropna() for name, table in _tables(run, "lipschitz").items()}
    medians = {name: float(ratio.median()) for name, ratio in ratios.items()}
    below = {name: 100 * float((ratio < 1).mean()) for name, ratio in ratios.items()}
    return SummaryText(
        f"The median ratio is {format_range(medians)}. {format_range(below, '%')} of the ratios are below 1, where a "
        "perturbed image comes closer.",
        {"median ratio": medians, "ratios below 1, %": below},
    )


CHAPTERS = (
    ProbeChapter(
        "isotropy",
        "Isotropy",
        "Does the score depend on the direction of a perturbation, or only on its norm?",
        _isotropy,
        "The two most extreme draws set a range, so it grows with the number of draws. Near 1, a score is saturated "
        "and hides what the margin shows. Random directions are not the worst ones.",
        {"isotropy": "Range of the score", "isotropy_margin": "Range of the margin, which does not saturate"},
        ("fig1_isotropy", "fig1_isotropy_margin"),
    ),
    ProbeChapter(
        "symmetry",
        "Symmetry",
        "Does the score change when the elements of a perturbation are permuted?",
        _symmetry,
        "A permutation of independent elements is nearly another draw, so for any function this looks like isotropy. "
        "The claims therefore look at how symmetry differs from isotropy.",
        {"symmetry": "Range of the score over permutations"},
        ("fig2_illustration", "fig3_symmetry", "fig3_symmetry_margin"),
    ),
    ProbeChapter(
        "topology",
        "Topology",
        "Do perturbed images that are close to each other stay close in the last layer?",
        _topology,
        "At one radius all distances between perturbed images are nearly equal, and ρ is small even for a linear "
        "function. A low ρ at one radius does not show that the network folds its input. By chance alone, ρ is within "
        "about √2 / T of 0, with T draws.",
        {"topology": "Mantel's ρ; the band is the paper's |ρ| < 0.1"},
        ("fig4_topology",),
    ),
    ProbeChapter(
        "lipschitz",
        "Lipschitz",
        "Do perturbed images come closer to the clean one, from the input to the last layer?",
        _lipschitz,
        "Random directions estimate the root mean square of the slopes. The largest slope can be a hundred times "
        "larger. Whether a ratio is below 1 depends on how both sides are normalised.",
        {"lipschitz": "Ratio of distances after and before the network; dashed: 1"},
        ("fig6_lipschitz", "fig5_functions"),
    ),
)
