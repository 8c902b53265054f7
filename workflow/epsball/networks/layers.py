"""Layers of a network: which there are, and what they put out on a pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from epsball.errors import EpsballError, did_you_mean

_FEW = 3


def blocks(module: nn.Module) -> list[str]:
    """Names of the blocks of a network: lists of modules are gone into, and what is but a wrapper; others are one."""
    found = list(_children(module, ""))
    parts = dict(module.named_modules())
    while len(found) < _FEW and any(True for name in found for _ in parts[name].children()):
        found = [inner for name in found for inner in (list(_children(parts[name], f"{name}.")) or [name])]
    return found


def _children(module: nn.Module, prefix: str) -> Iterator[str]:
    for name, part in module.named_children():
        path = f"{prefix}{name}"
        if isinstance(part, nn.Sequential | nn.ModuleList):
            yield from _children(part, f"{path}.")
        else:
            yield path


def chosen(module: nn.Module, names: Sequence[str]) -> list[str]:
    """The layers that are asked for, or all blocks.

    Raises:
        EpsballError: there is no such layer.
    """
    known = [name for name, _ in module.named_modules() if name]
    for name in names:
        if name not in known:
            raise EpsballError(f"layer '{name}' does not exist in the network; {did_you_mean(name, known)}")
    return list(names) or blocks(module)


@contextmanager
def recorded(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While the block lasts, the last output (n, ...) of each of the layers, in the order in which they were reached.

    A layer that is not passed or whose output is not one tensor a batch is not there.
    """
    held: dict[str, Tensor] = {}

    def keep(name: str) -> nn.modules.module._ForwardHook:  # type: ignore[name-defined]
        def hook(part: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            if isinstance(output, Tensor) and output.ndim > 1:
                held.pop(name, None)
                held[name] = output.clone()  # what follows may work in place

        return hook

    parts = dict(module.named_modules())
    handles = [parts[name].register_forward_hook(keep(name)) for name in names]
    try:
        yield held
    finally:
        for handle in handles:
            handle.remove()


@torch.inference_mode()
def sizes(network: nn.Module, module: nn.Module, names: Sequence[str], image: Tensor) -> dict[str, int]:
    """Units of each layer that a pass of an image (3, height, width) reaches, in that order."""
    with recorded(module, names) as held:
        network(image[None])
        return {name: output[0].numel() for name, output in held.items()}
