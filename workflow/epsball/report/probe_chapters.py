"""Chapters on the four probes of the paper: what each says in a sentence made of the numbers, and how it misleads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from epsball.chapters import number
from epsball.claims import RHO_BAND
from epsball.results import Results


@dataclass(frozen=True)
class ProbeChapter:
    """A chapter.

    Attributes:
        probe: of the paper; the chapter's name.
        title: of the chapter.
        question: that the probe answers.
        says: a sentence from the tables of a run.
        caveat: how it misleads.
        charts: names of its charts, with what each shows.
        figures: names of its figures.
    """

    probe: str
    title: str
    question: str
    says: Callable[[Results], str]
    caveat: str
    charts: dict[str, str]
    figures: tuple[str, ...]


def _each(results: Results, of: Callable[[str], str]) -> str:
    return ", ".join(f"{of(network)} for {network}" for network in results.config.networks)


def _medians(results: Results, probe: str, column: str, radius: float) -> str:
    def median(network: str) -> str:
        table = results.metrics(network, probe)
        return number(float(table.loc[table["radius"] == radius, column].median()))

    return _each(results, median)


def _misclassified(results: Results, probe: str, radius: float) -> str:
    def counted(network: str) -> str:
        table = results.metrics(network, probe)
        wrong = table.loc[table["radius"] == radius, "misclassified"] > 0
        return f"{wrong.sum()} of {len(wrong)}"

    return _each(results, counted)


def _isotropy(results: Results) -> str:
    epsilon, largest = results.config.ball.epsilon, results.config.ball.radii[-1]
    return (
        "The median range of the score over draws of one norm is "
        f"{_medians(results, 'isotropy', 'range', epsilon)} at ε; at r = {largest:g} it is "
        f"{_medians(results, 'isotropy', 'range', largest)}. Samples of which a draw is misclassified there: "
        f"{_misclassified(results, 'isotropy', largest)}."
    )


def _symmetry(results: Results) -> str:
    largest = results.config.ball.radii[-1]
    return (
        f"Over permutations of one perturbation of r = {largest:g} the median range of the score is "
        f"{_medians(results, 'symmetry', 'range', largest)}; over fresh draws it is "
        f"{_medians(results, 'isotropy', 'range', largest)}."
    )


def _topology(results: Results) -> str:
    def share(network: str) -> str:
        rho = results.metrics(network, "topology")["rho"].dropna()
        return f"{100 * (rho.abs() < RHO_BAND).mean():.0f}%" if len(rho) else "none that is defined"

    return f"Share of samples and radii with |ρ| below 0.1: {_each(results, share)}."


def _lipschitz(results: Results) -> str:
    def below(ratio: pd.Series) -> str:
        return f"{100 * (ratio < 1).mean():.0f}%" if len(ratio) else "none that is defined"

    found = {name: results.metrics(name, "lipschitz")["ratio"].dropna() for name in results.config.networks}
    medians = _each(results, lambda name: number(float(found[name].median())))
    return (
        f"The median ratio is {medians}. Share of the ratios below 1, where a perturbed image comes closer: "
        f"{_each(results, lambda name: below(found[name]))}."
    )


CHAPTERS = (
    ProbeChapter(
        "isotropy",
        "Isotropy",
        "Does the score depend on the direction of a perturbation, or on its norm alone?",
        _isotropy,
        "A range is set by its two most extreme draws and grows with their number. Near 1 a score is saturated and "
        "hides what the margin shows. Random directions are not the worst ones.",
        {"isotropy": "Range of the score", "isotropy_margin": "Range of the margin, which does not saturate"},
        ("fig1_isotropy", "fig1_isotropy_margin"),
    ),
    ProbeChapter(
        "symmetry",
        "Symmetry",
        "Does the score change when the elements of a perturbation are permuted?",
        _symmetry,
        "A permutation of independent elements is nearly another draw, so this looks like isotropy of any function. "
        "What the claims say of symmetry is its difference from isotropy.",
        {"symmetry": "Range of the score over permutations"},
        ("fig2_illustration", "fig3_symmetry", "fig3_symmetry_margin"),
    ),
    ProbeChapter(
        "topology",
        "Topology",
        "Are perturbed images that lie near each other near each other in the last layer too?",
        _topology,
        "At one radius all distances between perturbed images are nearly equal, and ρ is small for a linear function "
        "too. A low ρ at one radius does not show that the network folds its input.",
        {"topology": "Mantel's ρ; the band is the paper's |ρ| < 0.1"},
        ("fig4_topology",),
    ),
    ProbeChapter(
        "lipschitz",
        "Lipschitz",
        "Do perturbed images come closer to the clean one, from input to last layer?",
        _lipschitz,
        "Random directions estimate a root mean square of the slopes, not the largest, which can be a hundred times "
        "larger. Whether a ratio is below 1 depends on the normalisation of both sides.",
        {"lipschitz": "Ratio of distances after and before the network; dashed: 1"},
        ("fig6_lipschitz", "fig5_functions"),
    ),
)
