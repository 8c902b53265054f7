"""Probes: what is measured. One module each, registered here by name.

Most are pure measurements on what the stages stored of a family's perturbations, which their FAMILY names. A direct
one asks the network itself, for derivatives, layers or attacks, and has no FAMILY.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import pandas as pd
import xarray as xr

from epsball.config import Ball, Config, WhiteBox
from epsball.errors import EpsballError, did_you_mean
from epsball.runs.provenance import declared

if TYPE_CHECKING:
    from epsball.networks.model import Network
    from epsball.probes.white_box_input import WhiteBoxInput

PROBES = {
    "isotropy": "epsball.probes.isotropy",
    "symmetry": "epsball.probes.symmetry",
    "topology": "epsball.probes.topology",
    "lipschitz": "epsball.probes.lipschitz",
    "topology_mixed_radius": "epsball.probes.topology_mixed_radius",
    "alpha": "epsball.probes.alpha",
    "alpha_mixed_radius": "epsball.probes.alpha_mixed_radius",
    "symmetry_pixels": "epsball.probes.symmetry_pixels",
    "symmetry_channels": "epsball.probes.symmetry_channels",
    "symmetry_patches": "epsball.probes.symmetry_patches",
    "isotropy_low_frequency": "epsball.probes.isotropy_low_frequency",
    "symmetry_low_frequency": "epsball.probes.symmetry_low_frequency",
    "gradient": "epsball.probes.gradient",
    "expansion": "epsball.probes.expansion",
    "depth": "epsball.probes.depth",
    "lipschitz_bounds": "epsball.probes.lipschitz_bounds",
    "frequency": "epsball.probes.frequency",
    "boundary": "epsball.probes.boundary",
}

PAPERS = ("isotropy", "symmetry", "topology", "lipschitz")  # measured in every run


@dataclass(frozen=True)
class Context:
    """What a probe may need beside the stores.

    Attributes:
        scale_g: factor of g of Eq. 9, for features.
        scale_h: factor of h of Eq. 9, for images.
        mantel_permutations: permutations of the Mantel test.
    """

    scale_g: float
    scale_h: float
    mantel_permutations: int


class Probe(Protocol):
    """What a probe's module offers."""

    FAMILY: str  # whose perturbations it reads

    def measure(self, activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
        """A table of the samples in both stores."""
        ...


class WhiteBoxProbe(Protocol):
    """What a white-box probe's module offers."""

    def measure(self, subject: WhiteBoxInput) -> pd.DataFrame:
        """A table of one sample, without its name."""
        ...

    def passes(self, settings: WhiteBox, ball: Ball) -> int:
        """What a sample costs, in forward passes, about."""
        ...


def probe(name: str) -> Probe:
    """The module of a registered probe that reads stores."""
    return cast(Probe, importlib.import_module(PROBES[name]))


def white_box_probe(name: str) -> WhiteBoxProbe:
    """The module of a registered white-box probe."""
    return cast(WhiteBoxProbe, importlib.import_module(PROBES[name]))


def is_white_box(name: str) -> bool:
    """Whether a probe asks the network itself."""
    return "FAMILY" not in declared(PROBES[name])


def require(name: str, network: Network, network_name: str, settings: WhiteBox) -> None:
    """Check that a network has what a white-box probe needs; a probe that needs something has a function of this name.

    Raises:
        EpsballError: it has not.
    """
    check = getattr(importlib.import_module(PROBES[name]), "require", None)
    if is_white_box(name) and check is not None:
        check(network, network_name, settings)


def family_of(name: str) -> str:
    """The family whose perturbations a probe reads from stores."""
    family: str = declared(PROBES[name])["FAMILY"]
    return family


def chosen_probes(config: Config) -> list[str]:
    """The probes of a run.

    Raises:
        EpsballError: there is no such probe.
    """
    for name in config.extra_probes:
        if name not in PROBES:
            further = [known for known in PROBES if known not in PAPERS]
            raise EpsballError(
                f"configuration: extra_probes has '{name}', no such probe; {did_you_mean(name, further)}"
            )
    return [*PAPERS, *(name for name in config.extra_probes if name not in PAPERS)]


def families(config: Config) -> list[str]:
    """The families that the probes of a run read from stores."""
    return sorted({family_of(name) for name in chosen_probes(config) if not is_white_box(name)})


def table(columns: Mapping[str, object], activations: xr.Dataset, *dims: str) -> pd.DataFrame:
    """A table with a row for each sample, radius and, if asked for, draw.

    Args:
        columns: arrays (sample, radius[, draw]) by name.
        activations: gives the coordinates.
        *dims: the dimensions, "sample" first.
    """
    variables = {name: (dims, values) for name, values in columns.items()}
    coordinates = {
        "sample": [str(name) for name in activations["sample"].values],
        "radius": activations["radius"].values,
    }
    if "draw" in dims:
        coordinates["draw"] = np.arange(activations.sizes["draw"])
    return xr.Dataset(variables, coordinates).to_dataframe(dim_order=list(dims)).reset_index()
