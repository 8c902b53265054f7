"""State dicts: loaded whole, as PyTorch and the network's own library load them."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path

import torch
from torch import Tensor, nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError, did_you_mean
from epsball.networks import checkpoints

_log = logging.getLogger(__name__)

MADE_OF = ("_orig", "_g", "_v")  # after the name of a weight: what PyTorch's hooks make it of in each pass

_OTHER_SHAPE = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\(\[(.*?)\]\) from checkpoint, "
    r"the shape in current model is torch\.Size\(\[(.*?)\]\)"
)


def load_file(
    module: nn.Module, spec: NetworkSpec, rename: Callable[[str], str] = str, unused: tuple[str, ...] = ()
) -> None:
    """Load a module's state dict from the file of a network, of whatever form; `loaded` says what was done for that.

    Args:
        module: module to load into.
        spec: specification of the network; its argument `state_dict` says which, if the file has several.
        rename: gives a name in a file its present form.
        unused: prefixes of names that the file may hold and the module may lack.

    Raises:
        EpsballError: the file cannot be read or does not fit.
    """
    path = Path(str(spec.weights))
    checkpoint = checkpoints.read(path)
    try:
        found, said = checkpoints.select(module, checkpoint, spec.args.get("state_dict"), rename)
        own = module.state_dict()
        for name in [name for name in found if name.startswith(unused) and name not in own]:
            del found[name]
        load(module, found)
    except EpsballError as error:
        error.args = (f"{path}: {error}",)
        raise
    note(module, path, said)


def note(module: nn.Module, path: Path, said: str) -> None:
    """Keep and log how a file of weights was read, where that was not as it is."""
    if said:
        _log.warning("weights '%s' are read %s", path, said)
        module._loaded = said  # type: ignore[assignment]


def loaded(module: nn.Module) -> str:
    """Return how a module's weights were read from a file; empty if as they are there."""
    return str(getattr(module, "_loaded", ""))


def load(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load a state dict, whole, with PyTorch's allowances for old versions of modules.

    Raises:
        EpsballError: naming the first array that is missing, unknown, of another shape or of another kind.
    """
    own = module.state_dict()
    for name in own.keys() & weights.keys():
        _require_kind(name, weights[name], own[name])
    try:
        try:
            result = module.load_state_dict(weights, strict=False)
        except ValueError:  # a module that must know the version of its state dict, which the file does not have
            current = OrderedDict(weights)
            current._metadata = own._metadata  # type: ignore[attr-defined]
            result = module.load_state_dict(current, strict=False)
    except RuntimeError as error:
        if other := _OTHER_SHAPE.search(str(error)):
            name, found, expected = other.groups()
            raise EpsballError(f"weights '{name}' have shape ({found}), expected ({expected})") from None
        raise EpsballError(f"weights do not load: {' '.join(str(error).split())[:300]}") from None
    for name in result.missing_keys:
        if part := _part_of(name, weights):
            raise EpsballError(
                f"weights have no '{name}', but what it is made of, such as '{part}'; save them after "
                "torch.nn.utils.parametrize.remove_parametrizations (remove_weight_norm, remove_spectral_norm), or "
                "parametrise the layer in a factory of yours"
            )
        raise EpsballError(f"weights have no '{name}'; {did_you_mean(name, weights)}")
    for name in result.unexpected_keys:
        raise EpsballError(
            f"weights hold '{name}', which the network does not have; {did_you_mean(name, module.state_dict())}"
        )


def _part_of(name: str, weights: Collection[str]) -> str | None:
    """Return the first array of which weight or spectral normalisation, pruning or a parametrisation makes another."""
    layer, _, key = name.rpartition(".")
    start, by_hooks = f"{layer}.parametrizations.{key}.".removeprefix("."), {name + suffix for suffix in MADE_OF}
    return next((part for part in weights if part in by_hooks or part.startswith(start)), None)


def _require_kind(name: str, found: Tensor, own: Tensor) -> None:
    """Check that an array holds numbers as the network's does, which PyTorch would convert without a word.

    Raises:
        RefusedError: it is of another kind, such as whole numbers for a weight.
    """
    if found.layout != torch.strided or found.is_quantized:
        kind = "quantised" if found.is_quantized else str(found.layout).removeprefix("torch.")
        raise checkpoints.RefusedError(f"weights '{name}' are {kind}, expected plain numbers; save them as such")
    same = (found.is_floating_point(), found.is_complex()) == (own.is_floating_point(), own.is_complex())
    # A counter that was made half precision with everything else loses nothing.
    if same or (found.is_floating_point() and not own.is_complex() and torch.equal(found.trunc(), found)):
        return
    kinds = [str(one.dtype).removeprefix("torch.") for one in (found, own)]
    raise checkpoints.RefusedError(
        f"weights '{name}' are {kinds[0]}, expected {kinds[1]}; give those from before quantisation, or convert them"
    )
