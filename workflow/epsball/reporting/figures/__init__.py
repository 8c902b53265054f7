"""Figures: each is drawn from the tables of a run by the function that has its name."""

from __future__ import annotations

import importlib
import itertools
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from epsball.analysis.run import Run
from epsball.config import Config
from epsball.controls import chosen_controls
from epsball.probes import PROBES, chosen_probes
from epsball.runs import files
from epsball.stages.studied import studied

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS = "networks of a dataset together"  # what a figure needs that has a page for each dataset

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
    "overview_claims": ("overview",),
    "across_networks": ("across", _ACROSS),
    "across_correlations": ("across", _ACROSS),
    "training_curves": ("training", "training"),
    "training_confusion": ("training", "training"),
}  # fmt: skip

PER_PAGE = 6  # networks, as many as the paper has
# Whatever the number of networks.
_ONE_PAGE = {"fig2_illustration", "fig5_functions", "beyond_adversarial", "overview_claims"}


def names(config: Config) -> list[str]:
    """Return the names of the figures that a run draws, those of further pages with their number: `fig4_topology-2`."""
    return [page_name(name, page) for name in drawn(config) for page in range(len(pages(name, config)))]


def pages(name: str, config: Config) -> list[list[str]]:
    """Return the networks on each page of a figure: at most six, and about as many on each; or those of a dataset."""
    if _ACROSS in FIGURES[name]:
        return [[network.name for network in config.networks_of(dataset)] for dataset in studied(config)]
    networks = [
        network for network, spec in config.networks.items() if spec.training or "training" not in FIGURES[name]
    ]
    count = 1 if name in _ONE_PAGE else -(-len(networks) // PER_PAGE)
    ends = [len(networks) * page // count for page in range(count + 1)]
    return [networks[start:end] for start, end in itertools.pairwise(ends)]


def page_name(name: str, page: int) -> str:
    """Return the name of a figure's page, from 0: the first has the figure's own."""
    return f"{name}-{page + 1}" if page else name


def figure_of(name: str) -> str:
    """Return the figure that a page is of, by the page's name."""
    return name.partition("-")[0]


def drawn(config: Config) -> list[str]:
    """Return the figures that a run draws."""
    once = {"training"} if any(network.training for network in config.networks.values()) else set()
    once |= {_ACROSS} if studied(config) else set()
    # What at least one network is asked for.
    held = [
        {
            *chosen_probes(config, name),
            "illustration",
            *once,
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


def modules(config: Config) -> list[str]:
    """Return the dotted names of the modules that draw the figures of a run."""
    return [module_name(name) for name in drawn(config)]


def figure(name: str, run: Run) -> Figure:
    """Draw a figure of a run, all its networks on one page."""
    if run.having(*reads(name)):
        made: Figure = getattr(importlib.import_module(module_name(name)), name)(run)
        return made
    from epsball.reporting.figures import style  # seaborn takes seconds to import, and most jobs need only names

    return style.empty(run, reads(name))


def draw(name: str, config: Config, folder: Path, path: Path) -> None:
    """Draw a figure of the run in a folder as PDF, SVG and PNG, page by page; `path` is one of the first page's."""
    from epsball.reporting.figures import style

    on_pages = (
        replace(config, networks={network: config.networks[network] for network in page})
        for page in pages(name, config)
    )
    with style.paper():
        for number, page in style.on_one_scale(figure(name, Run(page, folder)) for page in on_pages):
            save(page, path.with_name(page_name(name, number) + path.suffix))


def draw_all(config: Config, run: Path, folder: Path, processes: int = 1) -> None:
    """Draw every figure of a run, several at a time."""
    forking = get_context("fork" if sys.platform == "linux" else "spawn")
    importlib.import_module("epsball.reporting.figures.style")  # which takes seconds, before processes are forked
    with ProcessPoolExecutor(processes, forking) as pool:
        for done in [pool.submit(draw, name, config, run, folder / f"{name}.pdf") for name in drawn(config)]:
            done.result()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PDF, SVG and PNG, each file whole or not at all; call within `style.paper()`."""
    from epsball.reporting.figures import style

    for suffix in (".pdf", ".svg", ".png"):
        with files.atomic_write(path.with_suffix(suffix)) as beside:
            figure.savefig(beside, format=suffix[1:], dpi=style.DPI, metadata=style.METADATA[suffix])
        figure.set_layout_engine("none")  # the layout is computed once, so that all three have the same
