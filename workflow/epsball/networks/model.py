"""Networks: how a factory and weights become a module from [0, 1] images to logits, and where its features are."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError, did_you_mean
from epsball.networks.sources import source

_NEARLY = 1e-5  # that probabilities which were computed in float32 sum up to 1


def fetch(spec: NetworkSpec) -> Path | None:
    """Download a network's published weights where they are not there yet, and verify them.

    Returns:
        The file, where it has a place of its own.

    Raises:
        EpsballError: they cannot be had, or their digest is wrong.
    """
    try:
        path: Path | None = importlib.import_module(source(spec)).fetch(spec)
        return path
    except EpsballError as error:
        raise EpsballError(f"networks.{spec.name}: {error}") from None


def build(spec: NetworkSpec, pretrained: bool = True) -> nn.Module:
    """Build a configured network in eval mode.

    Args:
        spec: the network.
        pretrained: whether with the weights that its source has for it. A user's factory is called in one way alone.

    Raises:
        EpsballError: the factory does not exist or does not work, or weights do not fit.
    """
    module: nn.Module = importlib.import_module(source(spec)).build(spec, pretrained)
    return module.eval().requires_grad_(False)


class Network(nn.Module):
    """A network with its features Φ_L: what enters the classification layer.

    Args:
        module: from RGB batches (n, 3, height, width) in [0, 1] to logits (n, classes).
        layer: name, by `named_modules()`, of the module whose output is Φ_L. None takes what enters the last
            `torch.nn.Linear`, which is that by definition.

    Raises:
        EpsballError: there is no such layer, or no Linear module.
    """

    def __init__(self, module: nn.Module, layer: str | None = None) -> None:
        super().__init__()
        self.module = module
        self._features: Tensor | None = None
        layers = {name: part for name, part in module.named_modules() if name}
        if layer is None:
            linear = [part for part in layers.values() if isinstance(part, nn.Linear)]
            if not linear:
                raise EpsballError("the network has no Linear module to take the features in front of; set its layer")
            linear[-1].register_forward_pre_hook(self._keep_input)
        elif layer in layers:
            layers[layer].register_forward_hook(self._keep_output)
        else:
            raise EpsballError(f"layer '{layer}' does not exist in the network; {did_you_mean(layer, layers)}")

    def _keep_input(self, part: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._features = inputs[0]

    def _keep_output(self, part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        # A copy: what follows, a ReLU for one, may work in place.
        self._features = output.clone() if isinstance(output, Tensor) else output

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, classes) and features (n, units) of images (n, 3, height, width) in [0, 1]."""
        self._features = None
        logits = self.module(images)
        features = self._features
        self._features = None
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            raise EpsballError(f"the network's output is {_described(logits)}, expected logits, a tensor (n, classes)")
        if not isinstance(features, Tensor):
            raise EpsballError(f"the output of the network's layer is {_described(features)}, expected one tensor")
        return logits, features.flatten(start_dim=1)


def _described(found: object) -> str:
    return f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"


def open_network(spec: NetworkSpec, weights: dict[str, Tensor] | None = None, pretrained: bool = True) -> Network:
    """Build a configured network, with its source's weights or with those that the run keeps for it.

    Raises:
        EpsballError: naming the network and what does not fit.
    """
    try:
        module = build(spec, pretrained and weights is None)
        if weights is not None:
            load(module, weights)
        return Network(module, spec.layer)
    except EpsballError as error:
        raise EpsballError(f"networks.{spec.name}: {error}") from None


def load(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load a state dict, whole.

    Raises:
        EpsballError: naming the first array that is missing, unknown or of another shape.
    """
    state = module.state_dict()
    for name, tensor in state.items():
        if name not in weights:
            raise EpsballError(f"weights have no '{name}'; {did_you_mean(name, weights)}")
        if weights[name].shape != tensor.shape:
            raise EpsballError(
                f"weights '{name}' have shape {tuple(weights[name].shape)}, expected {tuple(tensor.shape)}"
            )
    for name in weights:
        if name not in state:
            raise EpsballError(f"weights hold '{name}', which the network does not have; {did_you_mean(name, state)}")
    module.load_state_dict(weights)


def parameters(module: nn.Module) -> int:
    """Number of learnable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


@torch.inference_mode()
def probe_shape(network: Network, image: Tensor) -> tuple[int, int]:
    """Number of classes and of feature units, from one image (3, height, width).

    Raises:
        EpsballError: the network does not take such an image, or gives probabilities.
    """
    try:
        logits, features = network(image[None])
    except EpsballError:
        raise
    except Exception as error:  # a user's network can raise any
        first = str(error).partition("\n")[0]
        raise EpsballError(
            f"does not take an image of shape {tuple(image.shape)}: {type(error).__name__}: {first}"
        ) from None
    if logits.shape[1] > 1 and (logits >= 0).all() and abs(logits.sum() - 1) < _NEARLY:
        raise EpsballError("its outputs look like probabilities, expected logits; leave out its last softmax")
    return logits.shape[1], features.shape[1]
