"""Layers of a network: which there are, their outputs in a pass, and normalisation in front of the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from epsball.errors import EpsballError, did_you_mean

_FEW = 3


def blocks(module: nn.Module) -> list[str]:
    """Return the names of a network's blocks: its children, looking into containers, and into wrappers of few parts."""
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
    """Return the requested layers, which must exist, or all blocks if none is requested."""
    known = [name for name, _ in module.named_modules() if name]
    for name in names:
        if name not in known:
            raise EpsballError(f"layer '{name}' does not exist in the network; {did_you_mean(name, known)}")
    return list(names) or blocks(module)


@contextmanager
def recorded(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Record the last output (n, ...) of each layer while the block lasts, in the order in which layers are reached.

    Layers that a pass does not reach, or whose output is not one tensor with a row for each image, are left out.
    """
    held: dict[str, Tensor] = {}
    images = 0

    def count(part: nn.Module, inputs: tuple[object, ...]) -> None:
        nonlocal images
        images = len(inputs[0]) if isinstance(inputs[0], Tensor) else 0

    def keep(name: str) -> nn.modules.module._ForwardHook:  # type: ignore[name-defined]
        def hook(part: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            # Attention's windows, or tokens in front of images, are no rows of images.
            if isinstance(output, Tensor) and output.ndim > 1 and len(output) == images:
                held.pop(name, None)
                held[name] = output.clone()  # what follows may work in place

        return hook

    handles = [module.register_forward_pre_hook(count)]
    handles += [module.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield held
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def sizes(network: nn.Module, module: nn.Module, names: Sequence[str], image: Tensor) -> dict[str, int]:
    """Return the number of units of each layer that a pass of an image (3, height, width) reaches, in that order."""
    found: list[dict[str, int]] = []
    for images in (2, 3):  # to tell what has a row for each, and not as many tokens
        with recorded(module, names) as held:
            network(torch.stack([image] * images))
            found.append({name: output[0].numel() for name, output in held.items()})
    return {name: units for name, units in found[0].items() if name in found[1]}


def normalise(module: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """Make a module subtract `mean` and divide by `std`, channel by channel, first; its layers keep their names."""
    module.register_buffer("_mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
    module.register_buffer("_std", torch.tensor(std).view(-1, 1, 1), persistent=False)
    module.register_forward_pre_hook(_apply)
    return module


def _apply(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return ((inputs[0] - module._mean) / module._std, *inputs[1:])
