"""Save and restore the weights of a run's networks, as safetensors with a digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch
from torch import Tensor, nn

from epsball.config import NetworkSpec
from epsball.networks import model
from epsball.runs import files


def save(module: nn.Module, path: Path) -> str:
    """Write a network's weights, whole or not at all, and return their digest."""
    state = {name: tensor.cpu().contiguous() for name, tensor in module.state_dict().items()}
    with files.atomic_write(path) as temporary:
        safetensors.torch.save_file(state, temporary)
    return _digest(state)


def restore(spec: NetworkSpec, path: Path) -> model.Network:
    """Build a configured network with the weights that `save` wrote."""
    return model.open_network(spec, safetensors.torch.load_file(path))


def digest(path: Path) -> str:
    """Return the SHA-256 of the names, shapes and values in a file of weights, in hexadecimal."""
    return _digest(safetensors.torch.load_file(path))


def _digest(state: dict[str, Tensor]) -> str:
    total = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()
