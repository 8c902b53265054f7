"""Checkpoints as people have them: a state dict, nested or behind a prefix, beside an epoch or an optimiser's state."""

from __future__ import annotations

import pickle
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from epsball.errors import EpsballError
from epsball.networks.file_contents import is_safetensors, require_content

State = dict[str, Tensor]

_DEPTH = 4  # of dictionaries inside dictionaries
# Keys of optimisers, and of what they keep of each parameter under its name.
_OF_AN_OPTIMISER = re.compile(
    r"(.*_)?(optim(i[sz]ers?(_states?)?|s)?|opt|opt_states?|exp_(avg|avg_sq|inf)|momentum(_buffers?)?|moments?|"
    r"square_avgs?|acc_deltas?|grads?|gradients?)"
)
_COUNTER = "num_batches_tracked"  # which has no part in what a network computes


class _Unread:
    """Stands for an object of a class that is not PyTorch's, such as an argparse.Namespace; runs none of its code."""

    def __new__(cls, *args: object, **named: object) -> _Unread:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


class RefusedError(EpsballError):
    """A checkpoint fits a network by its names, and is refused all the same."""


class SeveralError(RefusedError):
    """Several state dicts of a checkpoint fit a network."""

    def __init__(self, labels: list[str]) -> None:
        super().__init__(
            f"weights hold several state dicts that fit: {', '.join(map(repr, labels))}; set args.state_dict to one of "
            "them"
        )


def read(path: Path) -> Any:
    """Read a file of safetensors or of `torch.save`, whatever its name, without running code that it names.

    Returns:
        What was saved; objects of unknown classes in it are placeholders.

    Raises:
        EpsballError: the file is missing, cut short, or of another kind.
    """
    if not path.is_file():
        raise EpsballError(f"weights '{path}' do not exist; expected a file")
    require_content(path, f"weights '{path}'")
    try:
        if is_safetensors(path):
            return safetensors.torch.load_file(path)
        try:
            return _load(path, _Unread)
        except pickle.UnpicklingError as error:
            if "SETITEM" not in str(error):
                raise
            return _load(path, OrderedDict)  # a class made from dict, as of configurations
    except Exception as error:  # a damaged file can raise anything
        if "TorchScript" in str(error):
            raise EpsballError(
                f"weights '{path}' hold a TorchScript module, not a state dict; save module.state_dict(), or name the "
                f"file in the factory: 'torchscript:{path}'"
            ) from None
        # What PyTorch says before that is advice to run the code in the file.
        message = " ".join(str(error).rpartition("WeightsUnpickler error:")[2].split())[:120]
        raise EpsballError(
            f"weights '{path}' cannot be read as a state dict ({message}): expected a file of torch.save or of "
            "safetensors; get it again"
        ) from None


def _load(path: Path, stand_in: type) -> Any:
    try:
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:  # saved before PyTorch 1.6, which has no index of them
        unknown = []
    stand_ins: list[Any] = [(_Unread if name.startswith("numpy.") else stand_in, name) for name in unknown]
    # Opened here: of a path, PyTorch goes by the ending.
    with torch.serialization.safe_globals(stand_ins), path.open("rb") as opened:
        return torch.load(opened, map_location="cpu", weights_only=True)


def state_dicts(checkpoint: Any, place: str = "") -> Iterator[tuple[str, State]]:
    """Yield every dictionary of tensors in a checkpoint, with the keys that lead to it, joined by dots."""
    if isinstance(checkpoint, list | tuple):  # such as of a state dict and an epoch
        checkpoint = {place: part for place, part in enumerate(checkpoint) if isinstance(part, Mapping)}
    if not isinstance(checkpoint, Mapping) or place.count(".") >= _DEPTH:
        return
    tensors: State = OrderedDict((str(key), value) for key, value in checkpoint.items() if isinstance(value, Tensor))
    if tensors:
        tensors._metadata = getattr(checkpoint, "_metadata", None)  # type: ignore[attr-defined]
        yield place, tensors
    for key, value in checkpoint.items():
        yield from state_dicts(value, f"{place}.{key}".lstrip("."))


@dataclass(frozen=True)
class _Option:
    """Tensors of a checkpoint whose names end in a network's.

    Attributes:
        place: keys that lead to their dictionary.
        prefix: what their names begin with.
        held: the dictionary.
        names: the network's names among them.
    """

    place: str
    prefix: str
    held: State
    names: frozenset[str]

    @property
    def label(self) -> str:
        return f"{self.place}.{self.prefix}".strip(".")

    def known(self, names: set[str]) -> State:
        """Return the tensors behind the prefix, parameters and buffers, that have one of some names."""
        return {name: self.held[self.prefix + name] for name in names if self.prefix + name in self.held}

    def agrees(self, other: _Option, names: set[str]) -> bool:
        """Return whether tensors that both have, of some names, have the same values."""
        ours, theirs = self.known(names), other.known(names)
        return self.names == other.names and all(
            _equal(ours[name], theirs[name]) for name in ours.keys() & theirs.keys()
        )


def _equal(one: Tensor, two: Tensor) -> bool:
    dense = one.layout == two.layout == torch.strided
    return dense and one.dtype == two.dtype and torch.equal(one, two)


def _is_of_an_optimiser(label: str) -> bool:
    return any(_OF_AN_OPTIMISER.fullmatch(part) for part in label.lower().split("."))


def select(
    module: nn.Module, checkpoint: Any, key: str | None = None, rename: Callable[[str], str] = str
) -> tuple[State, str]:
    """Return a module's state dict from a checkpoint, and what was done to find it.

    It is where most of the module's parameters are found by name, whatever their names begin with.

    Args:
        module: the module.
        checkpoint: what `read` returned.
        key: where the state dict is, if there are several that fit: keys and prefix, joined by dots.
        rename: gives a name in a file its present form.

    Returns:
        The state dict, with names as the module has them, and a clause about it; empty if it was found as it is.

    Raises:
        EpsballError: there is no state dict, or several that fit as well.
    """
    own = set(module.state_dict())
    wanted = {name for name, _ in module.named_parameters(remove_duplicate=False)} or own
    dicts = list(state_dicts(checkpoint))
    passed_over = [place for place, _ in dicts if key is None and _is_of_an_optimiser(place)]
    held = [(place, _renamed(found, rename)) for place, found in dicts if place not in passed_over]
    if not held and passed_over:
        raise EpsballError(
            f"weights hold only {', '.join(map(repr, passed_over[:3]))}, a name as of an optimiser's state; if it is "
            "the network's, name it by args.state_dict"
        )
    if not held:
        raise EpsballError(
            "weights hold no state dict of tensors, as a whole module or NumPy's arrays are none; save "
            "module.state_dict()"
        )
    options = [option for place, found in held for option in _options(place, found, wanted)]
    if key is None:
        options = [option for option in options if not _is_of_an_optimiser(option.prefix)]
    else:
        options = [option for option in options if key in (option.label, option.place)]
        if not options:
            raise EpsballError(f"weights hold nothing at args.state_dict, '{key}', that fits the network")
    most = max((len(option.names) for option in options), default=0)
    if 2 * most < len(wanted):  # another network's: what is missing is said for its largest state dict
        most, (place, found) = 0, max(held, key=lambda one: len(one[1]))
        options = [_Option(place, "", found, frozenset())]
    counted = {name for name in own | wanted if not name.endswith(_COUNTER)}
    best = [one for one in options if len(one.names) == most]
    best.sort(key=lambda one: (-len(one.known(counted)), len(one.label)))  # the one with all buffers first
    if not all(best[0].agrees(other, counted) for other in best[1:]):
        raise SeveralError([one.label for one in best])
    return _taken(best[0], wanted)


def _renamed(state: State, rename: Callable[[str], str]) -> State:
    found: State = OrderedDict((rename(name), value) for name, value in state.items())
    found._metadata = state._metadata  # type: ignore[attr-defined]
    return found


def _options(place: str, held: State, wanted: set[str]) -> Iterator[_Option]:
    names: dict[str, set[str]] = {}
    for name in held:
        for start in (0, *(number + 1 for number, letter in enumerate(name) if letter == ".")):
            if name[start:] in wanted:
                names.setdefault(name[:start], set()).add(name[start:])
    for prefix, found in names.items():
        yield _Option(place, prefix, held, frozenset(found))


def _taken(option: _Option, wanted: set[str]) -> tuple[State, str]:
    """Return an option's tensors under the names that the network's parameters have, and what was done for that."""
    prefixes = [option.prefix]
    missing = wanted - {name[len(option.prefix) :] for name in option.held if name.startswith(option.prefix)}
    if option.prefix and missing:  # the classifier may be beside the backbone, as 'head.fc.weight' is
        others = [name for name in option.held if not name.startswith(option.prefix)]
        beside = Counter(name[: -len(end)] for end in missing for name in others if name.endswith(f".{end}"))
        prefixes += [prefix for prefix, count in beside.items() if len(beside) == 1 and count == len(missing)]
    taken: State = OrderedDict()
    for prefix in reversed(prefixes):
        taken.update({name[len(prefix) :]: one for name, one in option.held.items() if name.startswith(prefix)})
    metadata: Mapping[str, Any] | None = option.held._metadata  # type: ignore[attr-defined]
    if metadata is not None:
        stem = option.prefix
        taken._metadata = {  # type: ignore[attr-defined]
            f"{name}."[len(stem) :].rstrip("."): value
            for name, value in metadata.items()
            if f"{name}.".startswith(stem)
        }
    left = [name for name in option.held if not name.startswith(tuple(prefixes))]
    said = [f"from '{option.place}'"] if option.place else []
    said += [f"without the prefix '{prefix}'" for prefix in prefixes if prefix]
    said += [f"leaving out {len(left)} other tensors, such as '{left[0]}'"] if left else []
    return taken, ", ".join(said)
