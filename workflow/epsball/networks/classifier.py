"""Find the classification layer of a network: the layer whose output is the logits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from epsball.errors import EpsballError
from epsball.networks.outputs import logits_of, widened

_NAMED = 3  # most candidates that a message names
_NOT_FOUND = "no layer's output is the logits"


def find_classifier(module: nn.Module, run: Callable[[Tensor], Any], image: Tensor) -> str:
    """Find the layer whose output is the logits, in a pass.

    Not the last one that is defined: a gate or a second head may be defined later, and the classifier may be applied
    as a function.

    Args:
        module: network from images to logits.
        run: function that passes images through it.
        image: (1, 3, height, width).

    Returns:
        Its name in `named_modules()`. It has weights of its own, and its flattened output is the logits.

    Raises:
        EpsballError: no layer's output is the logits, or the layer is used more than once; the message names layers
            that `layer` could be set to.
    """
    calls: list[tuple[str, Tensor | None]] = []  # layers in the order in which they end, and outputs that are vectors
    handles = [
        part.register_forward_hook(lambda _part, _inputs, output, name=name: _keep(calls, name, output))
        for name, part in module.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            logits = logits_of(run(image))
    finally:
        for handle in handles:
            handle.remove()
    parts = dict(module.named_modules())
    own = [(name, output) for name, output in calls if output is not None and _has_own_weights(parts[name])]
    same = functools.partial(torch.allclose, rtol=0, atol=0, equal_nan=True)
    found = [name for name, output in own if output.shape == logits.shape and same(output, logits)]
    if len(found) == 1 and [name for name, _ in own].count(found[0]) == 1:
        return found[0]
    what = f"the logits are the output of {found[0]!r}, which is used more than once" if found else _NOT_FOUND
    vectors = [name for name, output in calls if output is not None and output.shape != logits.shape]
    last = list(dict.fromkeys(vectors or [name for name, _ in calls]))[: -_NAMED - 1 : -1]
    raise EpsballError(
        f"{what}, so the input of the classification layer is unknown; set its key layer to the layer whose output "
        f"that is, such as {' or '.join(map(repr, last))}, or pass it through a torch.nn.Identity()"
    )


def _keep(calls: list[tuple[str, Tensor | None]], name: str, output: object) -> None:
    vector = isinstance(output, Tensor) and output.ndim > 1 and output[0].numel() == max(output.shape[1:])
    # Cloned, because what follows may work in place.
    calls.append((name, widened(output.flatten(1)).clone() if isinstance(output, Tensor) and vector else None))


def _has_own_weights(part: nn.Module) -> bool:
    """Return whether a module has weights that are not its children's, as parametrised and quantised ones may not."""
    return isinstance(part, nn.Linear | nn.Conv2d) or any(True for _ in part.parameters(recurse=False))
