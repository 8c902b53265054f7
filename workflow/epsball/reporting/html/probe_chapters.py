"""Chapters on the four probes of the paper: what each says, and how it misleads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from epsball.analysis.claims import RHO_BAND
from epsball.analysis.run import Run
from epsball.reporting.summary_text import SummaryText, format_range


@dataclass(frozen=True)
class ProbeChapter:
    """A chapter.

    Attributes:
        probe: of the paper; the chapter's name.
        title: of the chapter.
        question: that the probe answers.
        says: sentences and numbers from the tables of a run.
        caveat: how it misleads.
        charts: names of its charts, with what each shows.
        figures: names of its figures.
    """

    probe: str
    title: str
    question: str
    says: Callable[[Run], SummaryText]
    caveat: str
    charts: dict[str, str]
    figures: tuple[str, ...]


def _medians(results: Run, probe: str, column: str, radius: float) -> dict[str, float]:
    tables = {name: results.metrics(probe, name) for name in results.config.networks}
    return {name: float(table.loc[table["radius"] == radius, column].median()) for name, table in tables.items()}


def _misclassified(results: Run, probe: str, radius: float) -> dict[str, str]:
    def counted(network: str) -> str:
        table = results.metrics(probe, network)
        wrong = table.loc[table["radius"] == radius, "misclassified"] > 0
        return f"{wrong.sum()} of {len(wrong)}"

    return {name: counted(name) for name in results.config.networks}


def _isotropy(results: Run) -> SummaryText:
    epsilon, largest = results.config.ball.epsilon, results.config.ball.radii[-1]
    least, most = (_medians(results, "isotropy", "range", radius) for radius in (epsilon, largest))
    return SummaryText(
        f"The median range of the score over draws of one norm is {format_range(least)} at ε; at r = {largest:g} it is "
        f"{format_range(most)}.",
        {
            "median range at ε": least,
            f"median range at r = {largest:g}": most,
            "samples of which a draw is misclassified there": _misclassified(results, "isotropy", largest),
        },
    )


def _symmetry(results: Run) -> SummaryText:
    largest = results.config.ball.radii[-1]
    permuted, drawn = (_medians(results, probe, "range", largest) for probe in ("symmetry", "isotropy"))
    return SummaryText(
        f"Over permutations of one perturbation of r = {largest:g} the median range of the score is "
        f"{format_range(permuted)}; over fresh draws it is {format_range(drawn)}.",
        {
            f"median range over permutations, r = {largest:g}": permuted,
            f"median range over fresh draws, r = {largest:g}": drawn,
        },
    )


def _topology(results: Run) -> SummaryText:
    tables = {name: results.metrics("topology", name)["rho"].dropna() for name in results.config.networks}
    share = {name: 100 * float((rho.abs() < RHO_BAND).mean()) for name, rho in tables.items()}
    return SummaryText(
        f"Share of samples and radii with |ρ| below {RHO_BAND:g}: {format_range(share, '%')}.",
        {f"samples and radii with |ρ| < {RHO_BAND:g}, %": share},
    )


def _lipschitz(results: Run) -> SummaryText:
    tables = {name: results.metrics("lipschitz", name)["ratio"].dropna() for name in results.config.networks}
    medians = {name: float(ratio.median()) for name, ratio in tables.items()}
    below = {name: 100 * float((ratio < 1).mean()) for name, ratio in tables.items()}
    return SummaryText(
        f"The median ratio is {format_range(medians)}. Share of the ratios below 1, where a perturbed image comes "
        f"closer: {format_range(below, '%')}.",
        {"median ratio": medians, "ratios below 1, %": below},
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
        "too. A low ρ at one radius does not show that the network folds its input. And by chance alone ρ is 0 give or "
        "take √2 / T, with T draws.",
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
