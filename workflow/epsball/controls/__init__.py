"""Controls: networks made from a network, to tell what it does from what any function would do.

One module each, registered by name. Only those probes measure a control for which it means something.
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

    PROBES: tuple[str, ...]  # probes that measure it
    OWN_FEATURES: bool  # whether its features are of another kind than the network's: it then has its own g of Eq. 9
    PASSES: int  # about how many passes of its network an image costs

    def make(self, network: Network, image: Tensor, seed: int) -> nn.Module:
        """Make the control of a network, which may be changed, for images like one, float32 (3, height, width).

        Returns:
            A module from images (n, 3, height, width) to logits (n, classes) and features (n, units). A control that
            differs from sample to sample is `epsball.networks.forward.Refittable`.
        """
        ...


def control(name: str) -> Control:
    """Return the module of a registered control."""
    return cast(Control, importlib.import_module(CONTROLS[name]))


def of(name: str, network: Network, pool: Pool, seed: int) -> nn.Module:
    """Make a control of a network that classifies the images of a pool; see `Control.make`."""
    from epsball.networks.forward import inputs  # imports PyTorch, and jobs that ask for names alone do without

    picture = next(pool.batches(1))[1][0]
    return control(name).make(network, inputs(picture), seed)


def chosen_controls(config: Config) -> list[str]:
    """Return the controls of a run.

    Raises:
        EpsballError: there is no such control.
    """
    for name in config.controls:
        if name not in CONTROLS:
            raise EpsballError(f"configuration: controls has '{name}', no such control; {did_you_mean(name, CONTROLS)}")
    return list(config.controls)


def measured_by(config: Config, name: str) -> list[str]:
    """Return the probes of a run that measure a control."""
    return [probe for probe in chosen_probes(config) if probe in declared(CONTROLS[name])["PROBES"]]


def compared(config: Config, *probes: str) -> list[str]:
    """Return the controls of a run that all of the probes measure."""
    return [name for name in config.controls if set(probes) <= set(measured_by(config, name))]


def with_own_features(config: Config) -> list[str]:
    """Return the run's controls whose features are of another kind than their network's."""
    return [name for name in config.controls if declared(CONTROLS[name])["OWN_FEATURES"]]


def passes(name: str) -> int:
    """Return about how many passes of its network an image through a control costs."""
    return int(declared(CONTROLS[name])["PASSES"])


def families(config: Config, name: str) -> list[str]:
    """Return the families of perturbations on which a control is measured."""
    return sorted({family_of(probe) for probe in measured_by(config, name)})


def name_of(network: str, control_name: str) -> str:
    """Return the name of a network's control, for use in place of a network's name."""
    return f"{network}~{control_name}"
