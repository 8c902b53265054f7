"""What a network keeps from pass to pass, and random numbers that it draws: however little either changes outputs."""

from __future__ import annotations

import contextlib
import pickle
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from epsball.errors import EpsballError
from epsball.networks.consistency import OUTPUTS, differ, scale_of

Passes = Callable[[], tuple[Tensor, ...]]

_MANY = 10_007  # passes; a prime, for what turns in a circle


def require_none(module: nn.Module, run: Passes) -> None:
    """Check that passes draw no random numbers, and that what they change does not reach later outputs.

    A generator that a pass seeds anew is in the same state after each. What changes is carried on by ten thousand
    times as much as in one pass, and is put back.

    Args:
        module: the network.
        run: a pass, of the same images each time; returns its outputs.

    Raises:
        EpsballError: they do.
    """
    run()  # what is made in the first pass stays
    drawn, kept = _generators(module), _numbers(module)
    first = run()
    for name, state in _generators(module).items():
        if drawn.get(name, state) != state:
            raise EpsballError(
                f"a pass draws random numbers ({name}), so the same image can have other scores, however rarely; a "
                "likely cause is dropout or stochastic depth that is left on (training=True without self.training): "
                "leave it out, or seed a generator in each pass"
            )
    if changed := _changed(kept, _numbers(module)):
        _require_without_effect(changed, first, run)


@contextlib.contextmanager
def drawing_from(states: Mapping[str, Any]) -> Iterator[None]:
    """Let generators of random numbers go on from these states of `randomness` while the block lasts."""
    before = randomness()
    _go_on_from(states)
    try:
        yield
    finally:
        _go_on_from(before)


def randomness() -> dict[str, Any]:
    """Return the states of the generators of the process that are on the CPU, by whose they are."""
    return {
        "PyTorch's": torch.get_rng_state().tolist(),
        "NumPy's": np.random.get_state(),  # noqa: NPY002  # networks draw from it
        "the module random's": random.getstate(),
    }


def _go_on_from(states: Mapping[str, Any]) -> None:
    torch.set_rng_state(torch.tensor(states["PyTorch's"], dtype=torch.uint8, device="cpu"))
    np.random.set_state(states["NumPy's"])  # noqa: NPY002
    random.setstate(states["the module random's"])


def _generators(module: nn.Module) -> dict[str, bytes]:
    """Return the states of generators of random numbers: those of the process, and the module's own."""
    states = randomness()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # a process that has no need of GPUs takes none
        states["PyTorch's on the GPU"] = torch.cuda.get_rng_state().tolist()
    for place, part in module.named_modules():
        for name, value in vars(part).items():
            if isinstance(value, torch.Generator):
                states[f"of {place}.{name}"] = value.get_state().tolist()
            elif isinstance(value, np.random.Generator | np.random.RandomState | random.Random):
                states[f"of {place}.{name}"] = value
    return {name: pickle.dumps(state) for name, state in states.items()}


_Place = tuple[nn.Module, str]


def _numbers(module: nn.Module) -> dict[_Place, Tensor | int | float]:
    """Return copies of a module's weights, buffers and attributes that are numbers, by module and name."""
    found: dict[_Place, Tensor | int | float] = {}
    for part in module.modules():
        held = {**part._parameters, **part._buffers, **vars(part)}
        for name, value in held.items():
            if isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized:
                found[part, name] = value.detach().clone()
            elif type(value) in {int, float}:
                found[part, name] = value
    return found


def _changed(
    before: dict[_Place, Tensor | int | float], after: dict[_Place, Tensor | int | float]
) -> dict[_Place, tuple[Any, Any]]:
    return {
        place: (one, after[place]) for place, one in before.items() if place in after and not _same(one, after[place])
    }


def _same(one: Any, other: Any) -> bool:
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return type(one) is type(other) and bool(one == other)
    alike = (one.shape, one.dtype, one.device) == (other.shape, other.dtype, other.device)
    return alike and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _require_without_effect(changed: dict[_Place, tuple[Any, Any]], first: tuple[Tensor, ...], run: Passes) -> None:
    try:
        for (part, name), (before, after) in changed.items():
            _put(part, name, after + _MANY * (after - before) if _alike(before, after) else after)
        later = run()
        pairs = zip(OUTPUTS, first, later, strict=True)
        same = not any(differ(one, other, scale_of(what, one)) for what, one, other in pairs)
    except Exception:  # a user's network can raise anything
        same = False
    finally:
        for (part, name), (_, after) in changed.items():
            _put(part, name, after)
    if not same:
        names = ", ".join(sorted({name for _, name in changed})[:3])
        raise EpsballError(
            f"it keeps state that each pass changes and outputs depend on ({names}), so the same image has other "
            "scores later; a likely cause is a running mean that is updated in eval mode: update it in training alone"
        )


def _alike(before: Any, after: Any) -> bool:
    return not isinstance(before, Tensor) or (before.shape == after.shape and before.dtype != torch.bool)


def _put(part: nn.Module, name: str, value: Any) -> None:
    held = getattr(part, name)
    if isinstance(held, Tensor) and isinstance(value, Tensor) and held.shape == value.shape:
        with torch.no_grad():
            held.copy_(value)
    else:
        setattr(part, name, value)
