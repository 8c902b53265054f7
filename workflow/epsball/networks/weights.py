"""Save and restore the weights of a run's networks, as safetensors with a digest."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from epsball.config import NetworkSpec
from epsball.networks import model
from epsball.runs import files


def save(module: nn.Module, path: Path) -> str:
    """Write a network's weights, whole or not at all, and return their digest."""
    held = module.state_dict()
    state = {name: tensor.cpu().contiguous() for name, tensor in held.items()}
    storages: set[int] = set()
    for name, tensor in state.items():
        if (place := tensor.untyped_storage().data_ptr()) in storages:
            state[name] = tensor.clone()  # modules may share tensors, which the format does not know
        storages.add(place)
    # PyTorch's versions of the modules, by which a few of torchvision's know how their weights are to be read.
    versions = {name: facts.get("version") for name, facts in getattr(held, "_metadata", {}).items()}
    with files.atomic_write(path) as temporary:
        safetensors.torch.save_file(state, temporary, {"versions": json.dumps(versions)})
    return _digest(state)


def restore(spec: NetworkSpec, path: Path) -> model.Network:
    """Build a configured network with the weights that `save` wrote."""
    state = OrderedDict(safetensors.torch.load_file(path))
    with safetensors.safe_open(path, framework="pt") as opened:
        versions = json.loads((opened.metadata() or {}).get("versions", "{}"))
    state._metadata = {name: {"version": version} for name, version in versions.items()}  # type: ignore[attr-defined]
    return model.open_network(spec, state)


def digest(path: Path) -> str:
    """Return the SHA-256 of the names, shapes and values in a file of weights, in hexadecimal."""
    return _digest(safetensors.torch.load_file(path))


def _digest(state: dict[str, Tensor]) -> str:
    total = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
    return total.hexdigest()
