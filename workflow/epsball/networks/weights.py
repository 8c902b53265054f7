"""The weights that a run keeps of a network: safetensors, with what loading them takes beside, and a digest."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from epsball.runs import files


def save(module: nn.Module, path: Path, classifier: str | None = None) -> str:
    """Write a network's weights and the name of its classification layer, whole or not at all; return their digest."""
    held = module.state_dict()
    # Cloned: modules may share tensors, which the format does not know.
    state = {name: tensor.cpu().contiguous().clone() for name, tensor in held.items()}
    # PyTorch's versions of the modules, by which a few of torchvision's know how their weights are to be read.
    versions = {name: facts.get("version") for name, facts in getattr(held, "_metadata", {}).items()}
    with files.atomic_write(path) as temporary:
        beside = {"classifier": classifier or "", "versions": json.dumps(versions)}
        safetensors.torch.save_file(state, temporary, beside)
    return digest(path)


def read(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """Read what `save` wrote: a state dict, and the name of the classification layer if it is known."""
    state = OrderedDict(safetensors.torch.load_file(path))
    with safetensors.safe_open(path, framework="pt") as opened:
        beside = opened.metadata() or {}
    versions = json.loads(beside.get("versions", "{}"))
    state._metadata = {name: {"version": version} for name, version in versions.items()}  # type: ignore[attr-defined]
    return state, beside.get("classifier") or None


def digest(path: Path) -> str:
    """Return the SHA-256 of the names, shapes and values in a .safetensors file, in hexadecimal."""
    total = hashlib.sha256()
    for name, tensor in sorted(safetensors.torch.load_file(path).items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
    return total.hexdigest()
