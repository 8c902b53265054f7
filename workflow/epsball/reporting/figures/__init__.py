"""Figures: each is drawn from the tables of a run by the function that has its name."""

from __future__ import annotations

import importlib
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from epsball.analysis.run import Run
from epsball.config import Config
from epsball.controls import chosen_controls
from epsball.probes import PROBES, chosen_probes
from epsball.runs import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The module that draws each figure, then what a run needs for it: the probes whose tables it reads, an illustration,
# controls, or networks that the run trains.
FIGURES = {
    "fig1_isotropy": ("paper", "isotropy"),
    "fig1_isotropy_margin": ("paper", "isotropy"),
    "fig2_illustration": ("paper", "illustration"),
    "fig3_symmetry": ("paper", "symmetry"),
    "fig3_symmetry_margin": ("paper", "symmetry"),
    "fig4_topology": ("paper", "topology"),
    "fig5_functions": ("paper",),
    "fig6_lipschitz": ("paper", "lipschitz"),
    "fig6_lipschitz_ratio": ("paper", "lipschitz"),
    "beyond_geometry": ("beyond", "topology", "topology_mixed_radius", "alpha", "alpha_mixed_radius"),
    "beyond_controls": ("beyond", "isotropy", "topology", "lipschitz", "controls"),
    "beyond_symmetry": (
        "beyond", "isotropy", "symmetry", "symmetry_pixels", "symmetry_channels", "symmetry_patches",
        "isotropy_low_frequency", "symmetry_low_frequency",
    ),
    "beyond_frequency": ("beyond", "frequency"),
    "beyond_expansion": ("beyond", "expansion"),
    "beyond_depth": ("beyond", "depth"),
    "beyond_lipschitz": ("beyond", "lipschitz_bounds"),
    "beyond_boundary": ("beyond", "boundary"),
    "beyond_adversarial": ("beyond", "boundary", "gradient", "topology_mixed_radius", "isotropy", "lipschitz"),
    "training_curves": ("training", "training"),
    "training_confusion": ("training", "training"),
}  # fmt: skip


def names(config: Config) -> list[str]:
    """Return the names of the figures that a run draws."""
    trained = {"training"} if any(network.training for network in config.networks.values()) else set()
    # What at least one network is asked for.
    held = [
        {
            *chosen_probes(config, name),
            "illustration",
            *trained,
            *({"controls"} if chosen_controls(config, name) else ()),
        }
        for name in config.networks
    ]
    return [name for name, (_, *needs) in FIGURES.items() if any(one.issuperset(needs) for one in held)]


def reads(name: str) -> list[str]:
    """Return the probes whose tables a figure reads."""
    return [need for need in FIGURES[name][1:] if need in PROBES]


def module_name(name: str) -> str:
    """Return the dotted name of the module that draws a figure."""
    return f"{__name__}.{FIGURES[name][0]}"


def figure(name: str, run: Run) -> Figure:
    """Draw a figure of a run."""
    drawn: Figure = getattr(importlib.import_module(module_name(name)), name)(run)
    return drawn


def draw(name: str, config: Config, folder: Path, path: Path) -> None:
    """Draw a figure of the run in a folder as PDF, SVG and PNG; `path` is that of one of them."""
    from epsball.reporting.figures import style  # seaborn takes seconds to import, and most jobs need only names

    run = Run(config, folder)
    with style.paper():
        save(figure(name, run) if run.having(*reads(name)) else style.empty(run, reads(name)), path)


def draw_all(config: Config, run: Path, folder: Path, processes: int = 1) -> list[Path]:
    """Draw every figure of a run, several at a time; return the paths of the PDF files."""
    paths = [folder / f"{name}.pdf" for name in names(config)]
    forking = get_context("fork" if sys.platform == "linux" else "spawn")
    importlib.import_module("epsball.reporting.figures.style")  # which takes seconds, before processes are forked
    with ProcessPoolExecutor(processes, forking) as pool:
        for drawn in [pool.submit(draw, path.stem, config, run, path) for path in paths]:
            drawn.result()
    return paths


def save(drawn: Figure, path: Path) -> None:
    """Write a figure as PDF, SVG and PNG, each file whole or not at all; call within `style.paper()`."""
    from epsball.reporting.figures import style

    for suffix in (".pdf", ".svg", ".png"):
        with files.atomic_write(path.with_suffix(suffix)) as beside:
            drawn.savefig(beside, format=suffix[1:], dpi=style.DPI, metadata=style.METADATA[suffix])
        drawn.set_layout_engine("none")  # the layout is computed once, so that all three have the same
