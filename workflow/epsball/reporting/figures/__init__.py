"""Figures: each is drawn from the tables of a run by the module that has its name."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from epsball.analysis.run import Run
from epsball.config import Config
from epsball.controls import chosen_controls
from epsball.probes import chosen_probes
from epsball.runs import files
from epsball.runs.provenance import declared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = (
    "fig1_isotropy", "fig1_isotropy_margin", "fig2_illustration", "fig3_symmetry", "fig3_symmetry_margin",
    "fig4_topology", "fig5_functions", "fig6_lipschitz", "beyond_geometry", "beyond_controls", "beyond_symmetry",
    "beyond_frequency", "beyond_expansion", "beyond_depth", "beyond_lipschitz", "beyond_boundary", "beyond_adversarial",
)  # fmt: skip
TRAINING_FIGURES = ("training_curves", "training_confusion")  # of networks that the run trains

OTHERS = ("illustration", "card", "survey", "controls")  # what figures read besides the tables of probes


class FigureModule(Protocol):
    """What the module of a figure offers."""

    READS: tuple[str, ...]  # names of the probes whose tables it reads, or of OTHERS

    def draw(self, run: Run) -> Figure:
        """Draw the figure."""
        ...


def names(config: Config) -> list[str]:
    """Return the names of the figures that a run draws."""
    trains = any(network.training for network in config.networks.values())
    # Of one network at least it is asked for.
    held = [
        {*chosen_probes(config, network), *OTHERS} - (set() if chosen_controls(config, network) else {"controls"})
        for network in config.networks
    ]
    drawn = [name for name in FIGURES if any(one.issuperset(reads(name)) for one in held)]
    return [*drawn, *(TRAINING_FIGURES if trains else ())]


def module_name(name: str) -> str:
    """Return the dotted name of the module that draws a figure."""
    return f"{__name__}.{name}"


def reads(name: str) -> tuple[str, ...]:
    """Return what a figure is drawn from: names of probes, for their tables, or of OTHERS."""
    found: tuple[str, ...] = declared(module_name(name))["READS"]
    return found


def figure(name: str) -> FigureModule:
    """Import the module of a figure."""
    return cast(FigureModule, importlib.import_module(module_name(name)))


def draw(name: str, config: Config, folder: Path, path: Path) -> None:
    """Draw a figure as PDF, SVG and PNG.

    Args:
        name: name of the figure.
        config: configuration of the run.
        folder: folder of the run.
        path: path of one of the three files; the others are written next to it.
    """
    from epsball.reporting.figures import style  # seaborn takes seconds to import, and most jobs need only names

    run = Run(config, folder)
    read = [probe for probe in reads(name) if probe not in OTHERS]
    with style.paper():
        save(figure(name).draw(run) if run.having(*read) else style.empty(run, read), path)


def draw_all(config: Config, run: Path, folder: Path) -> list[Path]:
    """Draw every figure of a run in one process, which imports the plotting libraries once.

    Args:
        config: configuration of the run.
        run: folder of the run.
        folder: where to write the figures.

    Returns:
        The paths of the PDF files; SVG and PNG are next to them.
    """
    paths = [folder / f"{name}.pdf" for name in names(config)]
    for path in paths:
        draw(path.stem, config, run, path)
    return paths


def save(drawn: Figure, path: Path) -> None:
    """Write a figure as PDF, SVG and PNG, each file whole or not at all; call within `style.paper()`."""
    from epsball.reporting.figures import style

    for suffix in (".pdf", ".svg", ".png"):
        with files.atomic_write(path.with_suffix(suffix)) as beside:
            drawn.savefig(beside, format=suffix[1:], dpi=style.DPI, metadata=style.METADATA[suffix])
        drawn.set_layout_engine("none")  # the layout is computed once, so that all three have the same
