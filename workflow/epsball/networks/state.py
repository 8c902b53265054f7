"""Files of weights: read without running code, and what is said of those that cannot be."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from epsball.errors import EpsballError
from epsball.networks.model import load


def load_file(module: nn.Module, path: Path, unused: tuple[str, ...] = ()) -> None:
    """Load a module's state from a file.

    Args:
        module: to load into.
        path: of the file.
        unused: beginnings of names that the file may hold and the module has not.

    Raises:
        EpsballError: naming the file, which cannot be read or does not fit.
    """
    kept = {name: value for name, value in read(path).items() if not name.startswith(unused)}
    try:
        load(module, kept)
    except EpsballError as error:
        raise EpsballError(f"{path}: {error}") from None


def read(path: Path) -> dict[str, Tensor]:
    """The state dict in a file, .safetensors or what `torch.save` writes.

    Raises:
        EpsballError: the file is missing, cut short, or holds something else.
    """
    if not path.is_file():
        raise EpsballError(f"weights '{path}' do not exist; expected a file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        safetensors.SafetensorError,
    ) as error:
        told = " ".join(str(error).split())[:120]
        raise EpsballError(f"weights '{path}' cannot be read as a state dict ({told}); get the file again") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise EpsballError(f"weights '{path}' hold no state dict of tensors; save module.state_dict()")
    return state
