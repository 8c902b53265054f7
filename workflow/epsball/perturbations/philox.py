"""Counter-based random bits: the same for a seed, a stream, a radius, a draw and an element, wherever they are made.

The generator is Philox-4x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011)
in integer arithmetic, so batch, shard, order, cores and device cannot change a bit. The key is a sample's 64-bit
seed; the counter is (element // 4, draw, radius, stream), the radius by the bits of its float32 value.
"""

from __future__ import annotations

import functools
import logging
import math
import struct
from types import ModuleType

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from epsball.config import Noise
from epsball.perturbations import cpu_kernels
from epsball.perturbations.cpu_kernels import MULTIPLIERS, ROUNDS, WEYL

_log = logging.getLogger(__name__)

_MASK = 0xFFFFFFFF

_NUMBER_BITS = 31  # of an element's number, below its 32 random bits


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Philox-4x32-10 of four 32-bit counter words under a key of two.

    Args:
        counter: four int64 tensors of one shape, values in [0, 2**32). Overwritten.
        key: two 32-bit words.

    Returns:
        Four int64 tensors of that shape, values in [0, 2**32).
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        # int64 products of two 32-bit words wrap, but their bits are those of the unsigned product.
        p0 = c0.mul_(MULTIPLIERS[0])
        p1 = c2.mul_(MULTIPLIERS[1])
        high0 = (p0 >> 32).bitwise_and_(_MASK)
        high1 = (p1 >> 32).bitwise_and_(_MASK)
        c0, c1 = high1.bitwise_xor_(c1).bitwise_xor_(k0), p1.bitwise_and_(_MASK)
        c2, c3 = high0.bitwise_xor_(c3).bitwise_xor_(k1), p0.bitwise_and_(_MASK)
        k0 = (k0 + WEYL[0]) & _MASK
        k1 = (k1 + WEYL[1]) & _MASK
    return c0, c1, c2, c3


def random_bits(
    seed: int, stream: int, radius: float, draws: range, elements: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Random 32-bit words less 2**31, one an element of each draw.

    Args:
        seed: of the sample, 64 bits.
        stream: what the words are for; two streams never share a counter. A family has its own.
        radius: of the ball; its float32 bits enter the counter.
        draws: numbers of the draws; step 1.
        elements: how many words a draw.
        device: where to compute; it does not change a bit.

    Returns:
        int32 tensor (draw, element).
    """
    key = (seed & _MASK, (seed >> 32) & _MASK)
    radius_bits = struct.unpack("<I", struct.pack("<f", radius))[0]
    out = torch.empty(len(draws), -(-elements // 4) * 4, dtype=torch.int32, device=device)
    if out.device.type == "cpu":
        cpu_kernels.random_bits(out.numpy(), draws.start, radius_bits, stream, *key)
    elif out.device.type == "cuda" and (module := kernels()):
        module.random_bits(out, draws, radius_bits, stream, key)
    else:
        fill(out, draws, radius_bits, stream, key)
    return out[:, :elements]


def fill(out: Tensor, draws: range, radius_bits: int, stream: int, key: tuple[int, int]) -> None:
    """What `epsball.perturbations.cpu_kernels.random_bits` does, on tensors."""
    c0 = torch.arange(out.shape[1] // 4, device=out.device).repeat(len(draws), 1)
    c1 = torch.arange(draws.start, draws.stop, device=out.device)[:, None].repeat(1, c0.shape[1])
    counter = (c0, c1, torch.full_like(c0, radius_bits), torch.full_like(c0, stream))
    out.view(*c0.shape, 4).copy_(torch.stack(philox(counter, key), dim=2) - 2**31)


@functools.cache
def kernels() -> ModuleType | None:
    """`epsball.perturbations.gpu_kernels`, where it can be used."""
    try:
        from epsball.perturbations import gpu_kernels as module

        module.random_bits(torch.empty(1, 4, dtype=torch.int32, device="cuda"), range(1), 0, 0, (0, 0))
    except Exception as error:  # no Triton, no C compiler, or one that lacks Python's headers: each has its own
        _log.warning("the noise is made without Triton, which is slower: %s", error)
        return None
    return module


def uniform(
    seed: int, stream: int, radius: float, draws: range, elements: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Uniform numbers on (-1, 1) as odd integers in units of 2**-23, so that sums of their squares are exact.

    Arguments as for `random_bits`.

    Returns:
        int32 tensor (draw, element), odd, in (-2**23, 2**23).
    """
    return random_bits(seed, stream, radius, draws, elements, device).bitwise_right_shift_(8).bitwise_or_(1)


def normal(
    seed: int, stream: int, radius: float, draws: range, elements: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Normal numbers as integers, looked up in `normal_table` by the upper 16 bits of a word each.

    Logarithms and roots differ in their last bits from device to device; integers from one table do not.

    Arguments as for `random_bits`.

    Returns:
        int32 tensor (draw, element), in (-2**23, 2**23), of standard deviation `normal_deviation`.
    """
    places = random_bits(seed, stream, radius, draws, elements, device).bitwise_right_shift_(16).add_(2**15)
    return normal_table().to(device, non_blocking=True).index_select(0, places.flatten()).view_as(places)


@functools.cache
def normal_table() -> Tensor:
    """Quantiles of the normal distribution at (i + 1/2) / 2**16, in units of 2**-20. Not to be written to.

    So normal numbers are 65,536 values of equal probability, each the median of its share of the distribution: 0.00004
    standard deviations apart in the middle, 0.25 at the ends. The largest is 4.32, beyond which two of the 150,528
    elements of an image would be. The variance is 0.99998 of the distribution's, and allowed for; the kurtosis 2.999.
    No quantile is so near to a half that its rounding depends on how it was computed.

    Returns:
        int32 tensor (2**16,) on the CPU, rising, each number the negative of its counterpart.
    """
    lower = np.rint(ndtri((np.arange(2**15) + 0.5) / 2**16) * 2**20).astype(np.int32)
    return torch.from_numpy(np.concatenate([lower, -lower[::-1]]))


@functools.cache
def normal_deviation() -> float:
    """Standard deviation of `normal`, in its unit."""
    return math.sqrt(int(normal_table().long().square().sum()) / 2**16)


def drawn(
    kind: Noise, seed: int, stream: int, radius: float, draws: range, elements: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Draw independent integers, `uniform` or `normal`, to be scaled by `epsball.perturbations.ball.scale`."""
    draw = uniform if kind == "uniform" else normal
    return draw(seed, stream, radius, draws, elements, device)


def permutations(
    seed: int, stream: int, radius: float, draws: range, elements: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Random permutations: the elements in the order of 32 random bits each, equal ones by number.

    The order is total, so every sorting algorithm gives the same permutation.

    Returns:
        int64 tensor (draw, element): each row a permutation of ``range(elements)``.
    """
    keys = random_bits(seed, stream, radius, draws, elements, device)
    if keys.device.type == "cuda":
        return keys.sort(dim=1, stable=True).indices  # by radix: half the passes of `argsorted`
    if keys.device.type != "cpu":
        return argsorted(keys)
    members = torch.empty(keys.shape, dtype=torch.int64)
    cpu_kernels.argsort_keys(keys.contiguous().numpy(), members.numpy())
    return members


def permuted(vector: Tensor, permutations: Tensor) -> Tensor:
    """A vector's elements in each of the orders (draw, element): as `take`, in half the time."""
    return vector.index_select(0, permutations.flatten()).view_as(permutations)


def argsorted(keys: Tensor) -> Tensor:
    """Do what `cpu_kernels.argsort_keys` does, on tensors: each key and its number are one integer."""
    numbered = keys.long().bitwise_left_shift_(_NUMBER_BITS)
    numbered |= torch.arange(keys.shape[1], device=keys.device)
    return numbered.sort(dim=1).values.bitwise_and_(2**_NUMBER_BITS - 1)


def grouped_permutations(seed: int, stream: int, radius: float, draws: range, groups: Tensor) -> Tensor:
    """Random permutations within groups: the places of a group get its elements in the order of 32 random bits each.

    Args:
        seed: of the sample, 64 bits.
        stream: what the bits are for, as for `random_bits`.
        radius: of the ball.
        draws: numbers of the draws; step 1.
        groups: int64 (element,), the group of each, numbered from 0; where they are is where to compute.

    Returns:
        int64 tensor (draw, element): each row a permutation of ``range(len(groups))`` with ``groups[row] == groups``.
    """
    members = permutations(seed, stream, radius, draws, len(groups), groups.device)
    places = groups.sort(stable=True).indices
    if groups.device.type != "cpu":
        return scattered_to_groups(members, groups, places)
    starts = groups.bincount().cumsum(dim=0).roll(1)
    starts[0] = 0
    made = torch.empty_like(members)
    cpu_kernels.scatter_to_groups(members.numpy(), groups.numpy(), places.numpy(), starts.numpy(), made.numpy())
    return made


def scattered_to_groups(members: Tensor, groups: Tensor, places: Tensor) -> Tensor:
    """What `epsball.perturbations.cpu_kernels.scatter_to_groups` does, on tensors."""
    by_group = members.gather(1, groups[members].sort(dim=1, stable=True).indices)
    return torch.empty_like(members).index_copy_(1, places, by_group)
