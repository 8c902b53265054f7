"""The weights that a run keeps of a network: safetensors, with what loading them takes beside, and a digest."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from epsball.errors import EpsballError
from epsball.networks.consistency import Reference
from epsball.runs import files


class Kept(NamedTuple):
    """What is kept of a network."""

    state: dict[str, Tensor]
    classifier: str | None  # name of the classification layer, if it is known
    reference: Reference | None


def require_keepable(module: nn.Module) -> None:
    """Check that `save` can write all that a network's state dict holds.

    Raises:
        EpsballError: an entry is no dense tensor of numbers that the format knows.
    """
    for name, held in module.state_dict().items():
        if not isinstance(held, Tensor):
            why, mend = "as of a quantised layer", "give the network before its quantisation"
            if name.endswith("_extra_state"):
                why, mend = "which get_extra_state gives", "keep it in a buffer"
            raise EpsballError(
                f"'{name}' of its state is a {type(held).__name__}, {why}, and a run keeps tensors only; {mend}"
            )
        kind = str(held.layout).removeprefix("torch.")
        if held.is_meta or held.is_quantized or held.layout != torch.strided:
            kind = "meta" if held.is_meta else "quantised" if held.is_quantized else kind
            raise EpsballError(
                f"'{name}' of its state is a {kind} tensor, and a run keeps dense tensors with values; give it as one, "
                "such as by to_dense(), or register it with persistent=False"
            )
        try:
            safetensors.torch.save({"": torch.empty(0, dtype=held.dtype)})
        except KeyError:  # the format does not have this kind of numbers
            raise EpsballError(
                f"'{name}' of its state is of {str(held.dtype).removeprefix('torch.')}, which a file of weights cannot "
                "hold; convert it, such as to complex64, or register it with persistent=False"
            ) from None


def save(module: nn.Module, path: Path, classifier: str | None = None, reference: Reference | None = None) -> str:
    """Write a network's weights and what is kept with them, whole or not at all; return the digest of the weights."""
    held = module.state_dict()
    # Cloned: modules may share tensors, which the format does not know.
    state = {name: tensor.cpu().contiguous().clone() for name, tensor in held.items()}
    # PyTorch's versions of the modules, by which a few of torchvision's know how their weights are to be read.
    versions = {name: facts.get("version") for name, facts in getattr(held, "_metadata", {}).items()}
    with files.atomic_write(path) as temporary:
        beside = {"classifier": classifier or "", "versions": json.dumps(versions)}
        if reference is not None:
            beside["reference"] = json.dumps(vars(reference))
        safetensors.torch.save_file(state, temporary, beside)
    return digest(path)


def read(path: Path) -> Kept:
    """Read what `save` wrote."""
    state = OrderedDict(safetensors.torch.load_file(path))
    with safetensors.safe_open(path, framework="pt") as opened:
        beside = opened.metadata() or {}
    versions = json.loads(beside.get("versions", "{}"))
    state._metadata = {name: {"version": version} for name, version in versions.items()}  # type: ignore[attr-defined]
    reference = None
    if "reference" in beside:
        found = json.loads(beside["reference"])
        reference = Reference(tuple(found["size"]), tuple(found["logits"]))
    return Kept(state, beside.get("classifier") or None, reference)


def digest(path: Path) -> str:
    """Return the SHA-256 of the names, shapes and values in a .safetensors file, in hexadecimal."""
    total = hashlib.sha256()
    for name, tensor in sorted(safetensors.torch.load_file(path).items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
    return total.hexdigest()
