"""Find the classification layer of a network: the layer whose output is the logits."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from epsball.errors import EpsballError
from epsball.networks.outputs import logits_of, widened

_NAMED = 3  # most candidates that a message names


class _Call(NamedTuple):
    """A call of a layer."""

    name: str
    inputs: int  # tensors with rows among its arguments
    shape: tuple[int, ...]  # of the first of them
    is_tensor: bool  # what it returns
    output: Tensor | None  # that, flattened, if it is a vector

    @property
    def width(self) -> int:
        """Units of the first of them."""
        return math.prod(self.shape[1:]) if self.shape else 0


def find_classifier(module: nn.Module, run: Callable[[Tensor], Any], image: Tensor) -> str:
    """Find the layer whose output is the logits, in a pass.

    Not the last one that is defined: a gate or a second head may be defined later, and the classifier may be applied
    as a function.

    Args:
        module: network from images to logits.
        run: function that passes images through it.
        image: (1, 3, height, width).

    Returns:
        Its name in `named_modules()`. It is one layer with weights of its own, takes one tensor, and its flattened
        output is the logits.

    Raises:
        EpsballError: there is no such layer, or it is used more than once; the message names layers that `layer` could
            be set to.
    """
    calls: list[_Call] = []  # in the order in which layers end
    handles = [
        part.register_forward_hook(functools.partial(_keep, calls, name), with_kwargs=True)
        for name, part in module.named_modules()
        if name and "parametrizations" not in name.split(".")  # these compute a layer's weights
    ]
    try:
        with torch.no_grad():
            logits = logits_of(run(image))
    finally:
        for handle in handles:
            handle.remove()
    parts = dict(module.named_modules())
    times = Counter(call.name for call in calls)
    weighted = [name for name in times if _has_own_weights(parts[name])]
    found = [call for call in calls if call.name in weighted and _is_same(call.output, logits)]
    single = [call for call in found if not any(name.startswith(f"{call.name}.") for name in weighted)]
    layers = [
        call for call in single if call.inputs == 1 and _is_one_layer(parts[call.name], call, logits, image.shape)
    ]
    if len(layers) == 1 and times[layers[0].name] == 1:
        return layers[0].name
    if not found:
        bounded = bool(((logits >= 0) & (logits <= 1)).all())
        what = "no layer's output is the logits"
        what += ", which all lie between 0 and 1 (leave out a last sigmoid or softmax)" if bounded else ""
    elif len(layers) == 1:
        what = f"the logits are the output of {layers[0].name!r}, which is used more than once"
    else:
        what = f"the logits are the output of {found[-1].name!r}, which is not one classification layer"
    once = [call for call in calls if times[call.name] == 1]
    vectors = [call.name for call in once if call.output is not None and call.output.shape != logits.shape]
    others = [call.name for call in once if call.is_tensor and call.name not in {one.name for one in found}]
    last = list(dict.fromkeys(vectors or others))[: -_NAMED - 1 : -1]
    such = f", such as {' or '.join(map(repr, last))}, or" if last else ", or"
    raise EpsballError(
        f"{what}, so the input of the classification layer is unknown; set its key layer to the layer whose output "
        f"that is{such} pass it through a torch.nn.Identity()"
    )


def _keep(
    calls: list[_Call], name: str, part: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: object
) -> None:
    given = tensors_with_rows((inputs, named))
    vector = isinstance(output, Tensor) and output.ndim > 1 and output[0].numel() == max(output.shape[1:])
    # Cloned, because what follows may work in place.
    flat = widened(output.flatten(1)).clone() if isinstance(output, Tensor) and vector else None
    shape = tuple(given[0].shape) if given else ()
    calls.append(_Call(name, len(given), shape, isinstance(output, Tensor), flat))


def tensors_with_rows(given: Any) -> list[Tensor]:
    """Return the tensors among a layer's arguments, in whatever structure, that can have a row for each image."""
    return [value for value in tree_leaves(given) if isinstance(value, Tensor) and value.ndim > 1]


def _is_same(output: Tensor | None, logits: Tensor) -> bool:
    same = functools.partial(torch.allclose, rtol=0, atol=0, equal_nan=True)
    return output is not None and output.shape == logits.shape and same(output.double(), logits.double())


def _has_own_weights(part: nn.Module) -> bool:
    """Return whether a module has weights that are not its children's, as parametrised and quantised ones may not."""
    return isinstance(part, nn.Linear | nn.Conv2d) or any(True for _ in part.parameters(recurse=False))


def _is_one_layer(part: nn.Module, call: _Call, logits: Tensor, of_image: tuple[int, ...]) -> bool:
    """Return whether a module computes logits from features in one step.

    A scale or a normalisation takes them number by number, and two matrices in one module can be two layers, whether
    learned, frozen in buffers, or in one long vector. What takes an image is a network.
    """
    if isinstance(part, nn.Linear) or (isinstance(part, nn.Conv2d) and part.groups == 1):
        return True
    held = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
    matrices = [tensor for tensor in held if sum(size > 1 for size in tensor.shape) > 1]
    vectors = [tensor for tensor in held if tensor.numel() > max(call.width, logits.shape[1])]
    takes_features = call.width != logits.shape[1] and call.shape != of_image
    return takes_features and len(matrices) <= 1 and len(vectors) <= len(matrices)
