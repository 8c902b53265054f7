"""State dicts: read from files without running code, loaded whole, and saved with a digest."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from epsball.errors import EpsballError, did_you_mean
from epsball.runs import files

_BROKEN_PICKLE = (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile)


def load_file(module: nn.Module, path: Path, unused: tuple[str, ...] = ()) -> None:
    """Load a module's state dict, whole, from a file, which may also hold names that start with one of `unused`."""
    kept = {name: value for name, value in read(path).items() if not name.startswith(unused)}
    try:
        load(module, kept)
    except EpsballError as error:
        raise EpsballError(f"{path}: {error}") from None


def load(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load a state dict, whole: an array that is missing, unknown or of another shape is an error that names it."""
    state = module.state_dict()
    for name, tensor in state.items():
        if name not in weights:
            raise EpsballError(f"weights have no '{name}'; {did_you_mean(name, weights)}")
        if weights[name].shape != tensor.shape:
            raise EpsballError(
                f"weights '{name}' have shape {tuple(weights[name].shape)}, expected {tuple(tensor.shape)}"
            )
    for name in weights:
        if name not in state:
            raise EpsballError(f"weights hold '{name}', which the network does not have; {did_you_mean(name, state)}")
    module.load_state_dict(weights)


def read(path: Path) -> dict[str, Tensor]:
    """Read the state dict in a .safetensors file or one of `torch.save`, and no other."""
    if not path.is_file():
        raise EpsballError(f"weights '{path}' do not exist; expected a file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (*_BROKEN_PICKLE, safetensors.SafetensorError) as error:
        message = " ".join(str(error).split())[:120]
        raise EpsballError(f"weights '{path}' cannot be read as a state dict ({message}); get the file again") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise EpsballError(f"weights '{path}' hold no state dict of tensors; save module.state_dict()")
    return state


def save(module: nn.Module, path: Path, classifier: str | None = None) -> str:
    """Write a network's weights and the name of its classification layer, whole or not at all; return their digest."""
    # Cloned: modules may share tensors, which safetensors refuses.
    state = {name: tensor.cpu().contiguous().clone() for name, tensor in module.state_dict().items()}
    with files.atomic_write(path) as temporary:
        safetensors.torch.save_file(state, temporary, {"classifier": classifier or ""})
    return digest(path)


def read_classifier(path: Path) -> str | None:
    """Return the name of the classification layer in a file that `save` wrote; None if it is not known."""
    with safetensors.safe_open(path, framework="pt") as opened:
        return (opened.metadata() or {}).get("classifier") or None


def digest(path: Path) -> str:
    """Return the SHA-256 of the names, shapes and values in a .safetensors file, in hexadecimal."""
    total = hashlib.sha256()
    for name, tensor in sorted(read(path).items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()
