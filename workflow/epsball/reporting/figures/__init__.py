"""Figures: tables in, picture out. One module each, registered here by file name."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from epsball.analysis.run import Run
from epsball.config import Config
from epsball.probes import chosen_probes
from epsball.runs import files
from epsball.runs.provenance import declared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = {
    "fig1_isotropy": "epsball.reporting.figures.fig1_isotropy",
    "fig1_isotropy_margin": "epsball.reporting.figures.fig1_isotropy_margin",
    "fig2_illustration": "epsball.reporting.figures.fig2_illustration",
    "fig3_symmetry": "epsball.reporting.figures.fig3_symmetry",
    "fig3_symmetry_margin": "epsball.reporting.figures.fig3_symmetry_margin",
    "fig4_topology": "epsball.reporting.figures.fig4_topology",
    "fig5_functions": "epsball.reporting.figures.fig5_functions",
    "fig6_lipschitz": "epsball.reporting.figures.fig6_lipschitz",
    "beyond_geometry": "epsball.reporting.figures.beyond_geometry",
    "beyond_controls": "epsball.reporting.figures.beyond_controls",
    "beyond_symmetry": "epsball.reporting.figures.beyond_symmetry",
    "beyond_frequency": "epsball.reporting.figures.beyond_frequency",
    "beyond_expansion": "epsball.reporting.figures.beyond_expansion",
    "beyond_depth": "epsball.reporting.figures.beyond_depth",
    "beyond_lipschitz": "epsball.reporting.figures.beyond_lipschitz",
    "beyond_boundary": "epsball.reporting.figures.beyond_boundary",
    "beyond_adversarial": "epsball.reporting.figures.beyond_adversarial",
}

# Of networks that the run trains.
TRAINING_FIGURES = {
    "training_curves": "epsball.reporting.figures.training_curves",
    "training_confusion": "epsball.reporting.figures.training_confusion",
}

OTHERS = ("illustration", "card", "survey", "controls")  # what figures read beside probes' tables


class FigureModule(Protocol):
    """What a figure's module offers."""

    READS: tuple[str, ...]  # probes' names for their tables, or of OTHERS

    def draw(self, results: Run) -> Figure:
        """The figure."""
        ...


def names(config: Config) -> list[str]:
    """The figures of a run."""
    trains = any(network.training for network in config.networks.values())
    held = {*chosen_probes(config), *OTHERS} - (set() if config.controls else {"controls"})
    return [*(name for name in FIGURES if held.issuperset(reads(name))), *(TRAINING_FIGURES if trains else ())]


def module_name(name: str) -> str:
    """Where a registered figure is drawn."""
    return {**FIGURES, **TRAINING_FIGURES}[name]


def reads(name: str) -> tuple[str, ...]:
    """What a registered figure is drawn from: probes' names for their tables, or of OTHERS."""
    found: tuple[str, ...] = declared(module_name(name))["READS"]
    return found


def figure(name: str) -> FigureModule:
    """The module of a registered figure."""
    return cast(FigureModule, importlib.import_module(module_name(name)))


def draw(name: str, config: Config, folder: Path, path: Path) -> None:
    """Draw a figure as PDF, SVG and PNG.

    Args:
        name: of the figure.
        config: of the run.
        folder: of the run.
        path: of one of the files; the others stand beside it.
    """
    from epsball.reporting.figures import style  # takes a second to import, in each job that asks for names alone

    with style.paper():
        save(figure(name).draw(Run(config, folder)), path)


def save(drawn: Figure, path: Path) -> None:
    """Write a figure as PDF, SVG and PNG, each whole or not at all; within `style.paper()`, as it was drawn."""
    from epsball.reporting.figures import style

    for suffix in (".pdf", ".svg", ".png"):
        with files.atomic_write(path.with_suffix(suffix)) as beside:
            drawn.savefig(beside, format=suffix[1:], dpi=style.DPI, metadata=style.METADATA[suffix])
        drawn.set_layout_engine("none")  # once is enough, and all three have the same
