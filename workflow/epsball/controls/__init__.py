"""Controls: networks made from a network, to tell what it does from what any function would do.

One module each, registered here by name. What a control is measured by is what it means something for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from epsball.config import Config
from epsball.errors import EpsballError, did_you_mean
from epsball.probes import chosen_probes, family_of
from epsball.runs.provenance import declared

if TYPE_CHECKING:
    from torch import Tensor, nn

    from epsball.data import Pool
    from epsball.networks.model import Network

CONTROLS = {
    "linearised": "epsball.controls.linearised",
    "rbf": "epsball.controls.rbf",
    "random-weights": "epsball.controls.random_weights",
    "random-projection": "epsball.controls.random_projection",
    "identity": "epsball.controls.identity",
}


class Control(Protocol):
    """What a control's module offers."""

    PROBES: tuple[str, ...]  # that it is measured by
    OWN_FEATURES: bool  # whether its features are of another kind than the network's: g of Eq. 9 is then its own
    PASSES: int  # of its network that an image costs, about

    def make(self, network: Network, image: Tensor, seed: int) -> nn.Module:
        """The control of a network.

        Args:
            network: the network; may be changed.
            image: float32 (3, height, width), one of the kind.
            seed: of what is random.

        Returns:
            A module from images (n, 3, height, width) to logits (n, classes) and features (n, units). One that is
            another around each sample has a method `refit_at(image, label)`, image float32 (3, height, width).
        """
        ...


def control(name: str) -> Control:
    """The module of a registered control."""
    return cast(Control, importlib.import_module(CONTROLS[name]))


def of(name: str, network: Network, pool: Pool, seed: int) -> nn.Module:
    """A control of a network that classifies the images of a pool; see `Control.make`."""
    from epsball.networks.forward import (
        inputs,  # PyTorch takes a second to import, in each job that asks for names alone
    )

    picture = next(pool.batches(1))[1][0]
    return control(name).make(network, inputs(picture), seed)


def chosen_controls(config: Config) -> list[str]:
    """The controls of a run.

    Raises:
        EpsballError: there is no such control.
    """
    for name in config.controls:
        if name not in CONTROLS:
            raise EpsballError(f"configuration: controls has '{name}', no such control; {did_you_mean(name, CONTROLS)}")
    return list(config.controls)


def measured_by(config: Config, name: str) -> list[str]:
    """The probes of a run that a control is measured by."""
    means: tuple[str, ...] = declared(CONTROLS[name])["PROBES"]
    return [probe for probe in chosen_probes(config) if probe in means]


def compared(config: Config, *probes: str) -> list[str]:
    """The controls of a run that are measured by all of the probes."""
    return [name for name in config.controls if set(probes) <= set(measured_by(config, name))]


def has_own_features(name: str) -> bool:
    """Whether a control's features are of another kind than its network's."""
    own: bool = declared(CONTROLS[name])["OWN_FEATURES"]
    return own


def with_own_features(config: Config) -> list[str]:
    """Return the run's controls that have features of their own."""
    return [name for name in config.controls if has_own_features(name)]


def passes(name: str) -> int:
    """Passes of its network that an image through a control costs, about."""
    count: int = declared(CONTROLS[name])["PASSES"]
    return count


def families(config: Config, name: str) -> list[str]:
    """The families that a control is measured on."""
    return sorted({family_of(probe) for probe in measured_by(config, name)})


def name_of(network: str, control_name: str) -> str:
    """What a control of a network is called where a network's name stands."""
    return f"{network}~{control_name}"
