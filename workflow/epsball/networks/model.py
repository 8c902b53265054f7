"""Networks: from a factory and weights to a module that maps images in [0, 1] to logits and features."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError, about
from epsball.networks import layers, memory, outputs, sources, state
from epsball.networks.adopt import adopt
from epsball.networks.classifier import find_classifier, tensors_with_rows
from epsball.networks.consistency import beyond, require_any_layout, require_function, require_unmoved
from epsball.networks.copying import copy_module, require_own
from epsball.networks.views import ViewsAsReshapes, is_about_views
from epsball.networks.weights import read, require_keepable
from epsball.runs import files_read
from epsball.user_code import ends_program


def fetch(spec: NetworkSpec) -> Path | None:
    """Download a network's published weights if they are missing; verify and return the file, if its source has one."""
    with about(f"networks.{spec.name}"):
        path: Path | None = importlib.import_module(sources.source(spec)).fetch(spec)
        return path


def build(spec: NetworkSpec, pretrained: bool = True) -> nn.Module:
    """Build a configured network in eval mode.

    If `pretrained`, it gets weights: the file in the specification, or those of its source; but not if it is to be
    trained. A user's factory does not know this option.
    """
    sources.require_weights_read(spec)
    module = adopt(importlib.import_module(sources.source(spec)).build(spec, pretrained and spec.training is None))
    require_keepable(module)
    return module


class Network(nn.Module):
    """A network with its features Φ_L, the input of its classification layer.

    Attributes:
        classifier: name of the classification layer; None until a pass has found it, and with `layer`.

    Args:
        module: network from RGB batches (n, 3, height, width) in [0, 1] to logits (n, classes).
        layer: name in `named_modules()` of the module whose output is Φ_L. None takes the input of the classification
            layer, which is Φ_L by definition.
        classifier: name of the classification layer, if it is known. Else the first pass finds it.

    Raises:
        EpsballError: there is no such layer.
    """

    def __init__(self, module: nn.Module, layer: str | None = None, classifier: str | None = None) -> None:
        super().__init__()
        self.module = module
        self.classifier: str | None = None
        self._layer = layer
        self._features: Tensor | None = None
        self._reshapes = self._casts = False
        if layer is not None:
            layers.chosen(module, [layer])
            _require_hooks({layer: module.get_submodule(layer)})
            module.get_submodule(layer).register_forward_hook(self._keep_output)
        elif classifier is not None:
            self._hook(classifier)

    def _hook(self, classifier: str) -> None:
        self.classifier = classifier
        self.module.get_submodule(classifier).register_forward_pre_hook(self._keep_input, with_kwargs=True)

    def _keep_input(self, part: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._keep(next(iter(tensors_with_rows((inputs, named))), inputs))

    def _keep_output(self, part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._keep(output)

    def _keep(self, found: Any) -> None:
        # A copy: the next layer, such as a ReLU, may work in place.
        self._features = found.clone() if isinstance(found, Tensor) else found

    @property
    def features_from(self) -> str:
        """Where the features are taken, in words."""
        return f"output of {self._layer}" if self._layer is not None else f"input of {self.classifier}"

    def find_classifier(self, image: Tensor) -> None:
        """Find the classification layer by a pass of an image (3, height, width), unless it is known or not needed.

        Raises:
            EpsballError: see `epsball.networks.classifier.find_classifier`.
        """
        if self.classifier is None and self._layer is None:
            _require_hooks(dict(self.module.named_modules()))
            self._hook(find_classifier(self.module, self.run, image[None]))

    @torch.no_grad()
    def require_layer(self, images: Tensor) -> Tensor:
        """Check on images (n, 3, height, width) that their features come from one call of the right layer.

        Returns:
            Their logits (n, classes).

        Raises:
            EpsballError: logits are not finite, the layer runs more than once, or the classification layer does not
                give all of them.
        """
        self.find_classifier(images[0])
        calls: list[Any] = []
        name = str(self._layer or self.classifier)
        keep = self.module.get_submodule(name).register_forward_hook(
            lambda part, inputs, output: calls.append(output.clone() if isinstance(output, Tensor) else output)
        )
        try:
            logits = self.logits(images)
        finally:
            keep.remove()
        if not logits.isfinite().all():
            raise EpsballError(outputs.NOT_FINITE)
        if len(calls) > 1:
            raise EpsballError(
                f"its layer {name!r} runs {len(calls)} times in a pass, so it has no output of its own; set layer to "
                "one that runs once, such as a torch.nn.Identity() in the place that is meant"
            )
        if self._layer is None and not (calls and torch.equal(calls[0].flatten(1).double(), logits.double())):
            raise EpsballError(
                f"the logits of some images are not the output of {name!r}, its classification layer, as with an early "
                "exit; set its key layer to the layer whose output the features are"
            )
        return logits

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n, classes) and features (n, units) of images (n, 3, height, width) in [0, 1]."""
        self.find_classifier(images[0])
        self._features = None
        logits = outputs.logits_of(self.run(images))
        features, self._features = self._features, None
        if not isinstance(features, Tensor):
            raise EpsballError(f"what the network's layer gives is {outputs.describe(features)}, expected one tensor")
        if not features.numel():
            raise EpsballError(f"what the network's layer gives is {outputs.describe(features)}, which has no numbers")
        if not len(images) == len(logits) == len(features):
            raise EpsballError(
                f"{len(images)} images give {len(logits)} rows of logits and {len(features)} of features, expected one "
                "row for each image; look for a view or reshape that counts on another image size"
            )
        return logits, outputs.widened(features.flatten(start_dim=1))

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits (n, classes) alone.

        Raises:
            EpsballError: the network's own code fails.
        """
        try:
            return outputs.logits_of(self.run(images))
        except EpsballError:
            raise
        except Exception as error:  # a user's network can raise anything
            raise EpsballError(outputs.describe_failure("forward pass", error)) from error

    def run(self, images: Tensor) -> Any:
        """Return the module's own output for images, of which it gets a copy, in the precision that it takes."""
        kind = images.dtype
        if self._casts:
            kind = next((part.dtype for part in self.module.parameters() if part.is_floating_point()), kind)
        try:
            with ViewsAsReshapes() if self._reshapes else contextlib.nullcontext():
                return self.module(images.clone() if images.dtype == kind else images.to(kind))
        except SystemExit as error:
            raise ends_program("the network's forward pass", error) from error
        except RuntimeError as error:
            if not self._reshapes and is_about_views(error):
                self._reshapes = True
            elif not self._casts and outputs.is_about_precision(error):
                self._casts = True
                if kind == torch.float32:
                    widths = {part.dtype for part in (*self.module.parameters(), *self.module.buffers())}
                    if torch.float64 in widths:  # such as of a mean made by NumPy
                        self.module.float()
            else:
                raise
        return self.run(images)


def _require_hooks(parts: dict[str, nn.Module]) -> None:
    for name, part in parts.items():
        if isinstance(part, torch.jit.ScriptModule):
            raise EpsballError(
                f"has TorchScript as '{name}', whose layers cannot be looked into; give the module that it was made "
                "from, or set layer to one outside of it"
            )


def open_network(
    spec: NetworkSpec, weights: dict[str, Tensor] | None = None, classifier: str | None = None, pretrained: bool = True
) -> Network:
    """Build a configured network, with its source's weights or with a given state dict."""
    with about(f"networks.{spec.name}"):
        module = build(spec, pretrained and weights is None)
        if weights is not None:
            state.load(module, weights)
            module.eval().requires_grad_(False)  # loading may have replaced parts
        return Network(module, spec.layer, classifier)


def restore(spec: NetworkSpec, path: Path) -> Network:
    """Build a configured network with the weights that a run saved.

    Raises:
        EpsballError: a file that its factory reads is not what it was when the network was built, or the network is
            another function than then.
    """
    with about(f"networks.{spec.name}"):
        files_read.require_unchanged(path.parent)
    kept = read(path)
    network = open_network(spec, kept.state, kept.classifier)
    if kept.reference is not None:
        with about(f"networks.{spec.name}"):
            kept.reference.require(network.logits)
    return network


def parameters(module: nn.Module) -> int:
    """Return the number of learnable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def probe_shape(network: Network, image: Tensor) -> tuple[int, int]:
    """Return the numbers of classes and of feature units, from passes of an image (3, height, width).

    Raises:
        EpsballError: the network does not take such an image, is no fixed function of it, or returns no logits.
    """
    batch, fresh, start = torch.stack([image, image.flip(-1)]), copy_module(network), memory.randomness()
    with failing_in_a_sentence(image):
        outputs.require_logits(_rows(network, batch))
        network.require_layer(batch)
        logits, features = network(batch)
        if not features.isfinite().all():
            raise EpsballError(f"its features, the {network.features_from}, are not finite; set layer to another")
        require_function(network, batch)
        require_any_layout(network, batch)
        memory.require_none(network, lambda: network(batch))
        with memory.drawing_from(start):  # weights may be drawn in the first pass
            require_own(network, fresh, lambda: fresh(beyond(batch)))
        require_unmoved(network(batch), fresh(batch))
    return logits.shape[1], features.shape[1]


@contextlib.contextmanager
def failing_in_a_sentence(image: Tensor) -> Iterator[None]:
    """Say what a network raises in the block, where it gets an image (3, height, width), in an `EpsballError`."""
    try:
        yield
    except EpsballError:
        raise
    except Exception as error:  # a user's network can raise anything
        raise EpsballError(f"does not take an image of shape {tuple(image.shape)}: {outputs.reason(error)}") from None


def _rows(network: Network, batch: Tensor) -> Tensor:
    """Return the logits of two images, after a check that one image gives a row, and two images two."""
    one, two = (outputs.in_output(network.run(batch[:count])) for count in (1, 2))
    for count, found in enumerate((one, two), 1):
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != count:
            raise EpsballError(
                f"gives {outputs.describe(one)} for one image and {outputs.describe(two)} for two, expected logits, a "
                "tensor (n, classes) for n images"
            )
    return outputs.logits_of(two)


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
