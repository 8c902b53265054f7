"""Probes: what is measured. Each is registered here by name, and each module measures one thing.

Most probes are pure functions of what the stages stored about one family of perturbations. A white-box probe asks the
network itself, for derivatives, layers or attacks.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np
import pandas as pd

from epsball.config import ATTACK_NAMES, Ball, Config, WhiteBox
from epsball.errors import EpsballError, did_you_mean
from epsball.runs.provenance import declared

if TYPE_CHECKING:
    import xarray as xr

    from epsball.networks.model import Network
    from epsball.probes.normalisers import Scales
    from epsball.probes.white_box_input import WhiteBoxInput


class Entry(NamedTuple):
    """A probe's module, and the family whose perturbations it reads from stores; None for a white-box probe."""

    module: str
    family: str | None = None


PROBES = {
    "isotropy": Entry("epsball.probes.ranges", "uniform"),
    "symmetry": Entry("epsball.probes.ranges", "permuted"),
    "topology": Entry("epsball.probes.topology", "uniform"),
    "lipschitz": Entry("epsball.probes.lipschitz", "uniform"),
    "topology_mixed_radius": Entry("epsball.probes.topology", "mixed_radius"),
    "alpha": Entry("epsball.probes.alpha", "uniform"),
    "alpha_mixed_radius": Entry("epsball.probes.alpha", "mixed_radius"),
    "symmetry_pixels": Entry("epsball.probes.ranges", "permuted_pixels"),
    "symmetry_channels": Entry("epsball.probes.ranges", "permuted_channels"),
    "symmetry_patches": Entry("epsball.probes.ranges", "permuted_patches"),
    "isotropy_low_frequency": Entry("epsball.probes.ranges", "low_frequency"),
    "symmetry_low_frequency": Entry("epsball.probes.ranges", "permuted_low_frequency"),
    "gradient": Entry("epsball.probes.gradient"),
    "expansion": Entry("epsball.probes.expansion"),
    "depth": Entry("epsball.probes.depth"),
    "lipschitz_bounds": Entry("epsball.probes.lipschitz_bounds"),
    "frequency": Entry("epsball.probes.frequency"),
    "boundary": Entry("epsball.probes.boundary"),
}

PAPERS = ("isotropy", "symmetry", "topology", "lipschitz")  # measured in every run


class Context(NamedTuple):
    """What a probe may need besides the stores."""

    scales: Scales  #: factors of g and h of Eq. 9
    mantel_permutations: int


class Probe(Protocol):
    """Module of a probe that reads stores."""

    def measure(self, activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
        """Return a table of the samples in both stores."""
        ...


class WhiteBoxProbe(Protocol):
    """Module of a white-box probe."""

    PASSES: dict[str, int]  # what a sample costs, see `passes`

    def measure(self, inputs: WhiteBoxInput) -> pd.DataFrame:
        """Return the table of one sample, without a column for its name."""
        ...


def probe(name: str) -> Probe:
    """Import the module of a probe that reads stores."""
    return cast(Probe, importlib.import_module(PROBES[name].module))


def white_box_probe(name: str) -> WhiteBoxProbe:
    """Import the module of a white-box probe."""
    return cast(WhiteBoxProbe, importlib.import_module(PROBES[name].module))


def is_white_box(name: str) -> bool:
    """Return whether a probe asks the network itself."""
    return PROBES[name].family is None


def family_of(name: str) -> str:
    """Return the family whose perturbations a probe reads from stores; a white-box probe has none."""
    return cast(str, PROBES[name].family)


def require(name: str, network: Network, network_name: str, settings: WhiteBox) -> None:
    """Check that a network has what a probe needs, where the probe's module has a function of this name.

    Raises:
        EpsballError: the network lacks it.
    """
    check = getattr(importlib.import_module(PROBES[name].module), "require", None)
    if check is not None:
        check(network, network_name, settings)


def derivatives(name: str) -> str:
    """Return what a probe does with derivatives of the network: "measured", "followed" by its attacks, or nothing."""
    return str(declared(PROBES[name].module).get("DERIVATIVES", ""))


def passes(name: str, settings: WhiteBox, ball: Ball) -> int:
    """Estimate what a sample costs, in forward passes, by the `PASSES` of a white-box probe's module.

    They are for each "sample", "radius" beyond 0, "draw", "direction", "draw_at_radius", "direction_at_radius",
    "attack_at_radius", "power_iteration" and "clever_gradient", of which there are as many as the settings say, and for
    each attack, by its name.
    """
    radii, draws = sum(radius > 0 for radius in ball.radii), min(settings.draws, ball.draws)
    counts: dict[str, int] = {
        "sample": 1,
        "radius": radii,
        "draw": draws,
        "direction": settings.directions,
        "draw_at_radius": draws * radii,
        "direction_at_radius": settings.directions * radii,
        "attack_at_radius": len(settings.attacks) * radii,
        "power_iteration": settings.power_iterations,
        "clever_gradient": settings.clever_batches * settings.clever_size,
        **{name: int(name in settings.attacks) for name in ATTACK_NAMES},
    }
    costs: dict[str, int] = declared(PROBES[name].module)["PASSES"]
    return sum(cost * counts[of] for of, cost in costs.items())


def on_failure(config: Config, name: str) -> str:
    """Return what follows where a probe fails, "stop" or "gap": the first for the paper's, on which all rests."""
    return "stop" if name in PAPERS else config.on_failure


def chosen_probes(config: Config, network: str | None = None) -> list[str]:
    """Return the names of a run's probes, or of those of one of its networks.

    Raises:
        EpsballError: the configuration asks for a probe that does not exist.
    """
    own = {f"networks.{name}.": spec.extra_probes for name, spec in config.networks.items()}
    for place, names in {"": config.extra_probes, **own}.items():
        for name in names or ():
            if name not in PROBES:
                said = did_you_mean(name, [known for known in PROBES if known not in PAPERS])
                raise EpsballError(f"configuration: {place}extra_probes has '{name}', no such probe; {said}")
    asked = [own[f"networks.{name}."] for name in (config.networks if network is None else [network])]
    extra = [name for names in asked for name in (config.extra_probes if names is None else names)]
    return list(dict.fromkeys((*PAPERS, *extra)))


def stored_probes(config: Config, network: str | None = None) -> list[str]:
    """Return the names of a run's probes that read stores, or of those of one of its networks."""
    return [name for name in chosen_probes(config, network) if not is_white_box(name)]


def white_box_probes(config: Config, network: str | None = None) -> list[str]:
    """Return the names of a run's white-box probes, or of those of one of its networks."""
    return [name for name in chosen_probes(config, network) if is_white_box(name)]


def families(config: Config, network: str | None = None) -> list[str]:
    """Return the families that a run's probes read from stores, or those of one of its networks."""
    return sorted({family_of(name) for name in stored_probes(config, network)})


def table(columns: Mapping[str, object], activations: xr.Dataset, *dims: str) -> pd.DataFrame:
    """Make a table with a row for each sample, radius and, if `dims` name it, draw.

    Args:
        columns: arrays (sample, radius[, draw]) by name.
        activations: store whose coordinates they have.
        *dims: names of the dimensions, "sample" first.
    """
    import xarray as xr  # takes long to import, and jobs that read no store do without

    variables = {name: (dims, values) for name, values in columns.items()}
    coordinates = {"sample": [*map(str, activations["sample"].values)], "radius": activations["radius"].values}
    if "draw" in dims:
        coordinates["draw"] = np.arange(activations.sizes["draw"])
    return xr.Dataset(variables, coordinates).to_dataframe(dim_order=list(dims)).reset_index()
