"""Files of weights: read without running code, and what is said of those that cannot be."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from epsball.errors import EpsballError


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
