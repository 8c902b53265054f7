"""Find the classification layer of a network: the layer whose output is the logits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from epsball.errors import EpsballError
from epsball.networks.outputs import logits_of, widened

_NAMED = 3  # most candidates that a message names


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
    calls: list[tuple[str, Tensor]] = []  # layers whose output is a vector, in the order in which they end
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
    own = [(name, output) for name, output in calls if _has_own_weights(parts[name])]
    same = functools.partial(torch.allclose, rtol=0, atol=0, equal_nan=True)
    found = [name for name, output in own if output.shape == logits.shape and same(output, logits)]
    if len(found) == 1 and [name for name, _ in own].count(found[0]) == 1:
        return found[0]
    raise EpsballError(
        f"{_what_is_wrong(found)}, so the input of the classification layer is unknown; set its key layer to the layer "
        f"whose output that is{_candidates(calls, logits)}"
    )


def _keep(calls: list[tuple[str, Tensor]], name: str, output: object) -> None:
    if isinstance(output, Tensor) and output.ndim > 1 and output[0].numel() == max(output.shape[1:]):
        calls.append((name, widened(output.flatten(1)).clone()))  # what follows may work in place


def _has_own_weights(part: nn.Module) -> bool:
    """Return whether a module has weights that are not its children's, as parametrised and quantised ones may not."""
    return isinstance(part, nn.Linear | nn.Conv2d) or any(True for _ in part.parameters(recurse=False))


def _what_is_wrong(found: list[str]) -> str:
    if not found:
        return "no layer's output is the logits"
    return f"the logits are the output of {' and '.join(map(repr, dict.fromkeys(found)))}, which is used more than once"


def _candidates(calls: list[tuple[str, Tensor]], logits: Tensor) -> str:
    shapes: Mapping[str, Any] = {name: output.shape for name, output in calls if output.shape != logits.shape}
    names = list(shapes)[-_NAMED:]
    return f", such as {' or '.join(map(repr, reversed(names)))}" if names else ""
