"""Networks: from a factory and weights to a module that maps images in [0, 1] to logits and features."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import layers, sources, state

_TOLERANCE = 1e-5  # on the sum of probabilities computed in float32


def fetch(spec: NetworkSpec) -> Path | None:
    """Download a network's published weights if they are missing, and verify them.

    Returns:
        The file, where its source keeps one.

    Raises:
        EpsballError: the download fails, or the digest is wrong.
    """
    try:
        path: Path | None = importlib.import_module(sources.source(spec)).fetch(spec)
        return path
    except EpsballError as error:
        raise EpsballError(f"networks.{spec.name}: {error}") from None


def build(spec: NetworkSpec, pretrained: bool = True) -> nn.Module:
    """Build a configured network in eval mode.

    Args:
        spec: specification of the network.
        pretrained: whether to load weights: the file in the specification, or those of its source; never of a network
            that is to be trained. A user's factory does not know this option.

    Raises:
        EpsballError: the factory does not exist or fails, or weights do not fit.
    """
    source = importlib.import_module(sources.source(spec))
    pretrained = pretrained and spec.training is None
    given = spec.weights if sources.loads_state(spec) else None
    module: nn.Module = source.build(spec, pretrained and given is None)
    if pretrained and given is not None:
        state.load_file(module, Path(given), getattr(source, "UNUSED_WEIGHTS", ()))
    return module.eval().requires_grad_(False)


class Network(nn.Module):
    """A network with its features Φ_L, the input of its classification layer.

    Args:
        module: network from RGB batches (n, 3, height, width) in [0, 1] to logits (n, classes).
        layer: name in `named_modules()` of the module whose output is Φ_L. None takes the input of the last
            `torch.nn.Linear`, which is Φ_L by definition.

    Raises:
        EpsballError: there is no such layer, or no Linear module.
    """

    def __init__(self, module: nn.Module, layer: str | None = None) -> None:
        super().__init__()
        self.module = module
        self._features: Tensor | None = None
        if layer is not None:
            layers.chosen(module, [layer])
            module.get_submodule(layer).register_forward_hook(self._keep_output)
            return
        linear = [part for name, part in module.named_modules() if name and isinstance(part, nn.Linear)]
        if not linear:
            raise EpsballError("the network has no Linear module to take the features in front of; set its layer")
        linear[-1].register_forward_pre_hook(self._keep_input)

    def _keep_input(self, part: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._features = inputs[0]

    def _keep_output(self, part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        # A copy: the next layer, such as a ReLU, may work in place.
        self._features = output.clone() if isinstance(output, Tensor) else output

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n, classes) and features (n, units) of images (n, 3, height, width) in [0, 1]."""
        self._features = None
        logits = self.module(images)
        features, self._features = self._features, None
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            raise EpsballError(f"the network's output is {_describe(logits)}, expected logits, a tensor (n, classes)")
        if not isinstance(features, Tensor):
            raise EpsballError(f"the output of the network's layer is {_describe(features)}, expected one tensor")
        return logits, features.flatten(start_dim=1)


def _describe(found: object) -> str:
    return f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"


def open_network(spec: NetworkSpec, weights: dict[str, Tensor] | None = None, pretrained: bool = True) -> Network:
    """Build a configured network, with its source's weights or with a given state dict.

    Raises:
        EpsballError: the network cannot be built, or weights do not fit.
    """
    try:
        module = build(spec, pretrained and weights is None)
        if weights is not None:
            state.load(module, weights)
        return Network(module, spec.layer)
    except EpsballError as error:
        raise EpsballError(f"networks.{spec.name}: {error}") from None


def parameters(module: nn.Module) -> int:
    """Return the number of learnable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


@torch.inference_mode()
def probe_shape(network: Network, image: Tensor) -> tuple[int, int]:
    """Return the numbers of classes and of feature units, from a pass of one image (3, height, width).

    Raises:
        EpsballError: the network does not take such an image, or returns probabilities.
    """
    try:
        logits, features = network(image[None])
    except EpsballError:
        raise
    except Exception as error:  # a user's network can raise anything
        first = str(error).partition("\n")[0]
        raise EpsballError(
            f"does not take an image of shape {tuple(image.shape)}: {type(error).__name__}: {first}"
        ) from None
    if logits.shape[1] > 1 and (logits >= 0).all() and abs(logits.sum() - 1) < _TOLERANCE:
        raise EpsballError("its outputs look like probabilities, expected logits; leave out its last softmax")
    return logits.shape[1], features.shape[1]


def require_labels(labels: NDArray[np.int64], classes: int, owner: str) -> None:
    """Check that every label is one of a network's classes.

    Args:
        labels: labels of the images.
        classes: number of logits of the network.
        owner: subject and verb of the clause about the labels, such as "dataset 'signs' has".

    Raises:
        EpsballError: a label is no class of the network; a sentence that lacks its subject, the network.
    """
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= classes:
        raise EpsballError(
            f"has {classes} outputs, but {owner} labels from {lowest} to {highest}; labels count from 0 in the order "
            "of the outputs"
        )
