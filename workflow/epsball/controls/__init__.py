"""Controls: networks made from a network, to tell what it does from what any function would do.

One module each, registered by name. Only those probes measure a control for which it means something.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from epsball.config import Config
from epsball.errors import EpsballError, did_you_mean
from epsball.probes import chosen_probes, family_of
from epsball.runs.gaps import explained
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


def of(name: str, network: Network, pool: Pool, seed: int, network_name: str = "") -> nn.Module:
    """Make a control of a network that classifies the images of a pool; see `Control.make`.

    Raises:
        UnavailableError: it cannot be made; the message has the network's name.
    """
    from epsball.networks.forward import inputs  # imports PyTorch, and jobs that ask for names alone do without

    picture = next(pool.batches(1))[1][0]
    with explained(f"control '{name}'", network_name):
        return control(name).make(network, inputs(picture), seed)


def chosen_controls(config: Config, network: str | None = None) -> list[str]:
    """Return the controls of a run, or of one of its networks.

    Raises:
        EpsballError: there is no such control.
    """
    own = {f"networks.{name}.": spec.controls for name, spec in config.networks.items()}
    for place, names in {"": config.controls, **own}.items():
        for name in names or ():
            if name not in CONTROLS:
                said = did_you_mean(name, CONTROLS)
                raise EpsballError(f"configuration: {place}controls has '{name}', no such control; {said}")
    asked = [own[f"networks.{name}."] for name in (config.networks if network is None else [network])]
    return list(dict.fromkeys(name for names in asked for name in (config.controls if names is None else names)))


def probes_of(name: str) -> tuple[str, ...]:
    """Return the probes that can measure a control."""
    return tuple(declared(CONTROLS[name])["PROBES"])


def measured_by(config: Config, name: str, network: str | None = None) -> list[str]:
    """Return the probes of a run, or of one of its networks, that measure a control; none if it is not asked for."""
    if name not in chosen_controls(config, network):
        return []
    return [probe for probe in chosen_probes(config, network) if probe in probes_of(name)]


def compared(config: Config, network: str, *probes: str) -> list[str]:
    """Return the controls of a network that all of the probes measure."""
    return [name for name in chosen_controls(config, network) if set(probes) <= set(probes_of(name))]


def has_own_features(name: str) -> bool:
    """Return whether a control's features are of another kind than its network's."""
    return bool(declared(CONTROLS[name])["OWN_FEATURES"])


def with_own_features(config: Config, network: str | None = None) -> list[str]:
    """Return the controls of a run, or of one of its networks, whose features are of another kind than a network's."""
    return list(filter(has_own_features, chosen_controls(config, network)))


def passes(name: str) -> int:
    """Return about how many passes of its network an image through a control costs."""
    return int(declared(CONTROLS[name])["PASSES"])


def families(config: Config, name: str, network: str | None = None) -> list[str]:
    """Return the families of perturbations on which a control is measured, in a run or of one of its networks."""
    return sorted({family_of(probe) for probe in measured_by(config, name, network)})


def name_of(network: str, control_name: str) -> str:
    """Return the name of a network's control, for use in place of a network's name."""
    return f"{network}~{control_name}"
