"""Counter-based random bits: the same for a seed, a stream, a radius, a draw and an element, wherever they are made.

The generator is Philox-4x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011)
in integer arithmetic, so batch, shard, order, cores and device cannot change a bit. The key is a sample's 64-bit
seed; the counter is (element // 4, draw, radius, stream), with the bits of the radius in float32.

CUDA computes on the GPU; every other device gets what the CPU computes.
"""

from __future__ import annotations

import functools
import logging
import math
import struct
from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from epsball.config import Noise
from epsball.perturbations import cpu_kernels

_log = logging.getLogger(__name__)
_MASK = 0xFFFFFFFF


def random_bits(
    seed: int, stream: int, radius: float, draws: range, elements: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Return random 32-bit words minus 2**31, one for each element of each draw.

    Args:
        seed: seed of the sample, 64 bits.
        stream: what the words are for; two streams never share a counter. Each family has its own.
        radius: radius of the ball; its float32 bits enter the counter.
        draws: numbers of the draws; step 1.
        elements: number of words in a draw.
        device: device of the result; it does not change a bit.

    Returns:
        int32 tensor (draw, element).
    """
    key = (seed & _MASK, (seed >> 32) & _MASK)
    radius_bits = struct.unpack("<I", struct.pack("<f", radius))[0]
    shape = len(draws), -(-elements // 4) * 4
    if torch.device(device).type == "cuda" and (module := kernels()):
        out = torch.empty(shape, dtype=torch.int32, device=device)
        module.random_bits(out, draws, radius_bits, stream, key)
    else:
        out = torch.empty(shape, dtype=torch.int32)
        cpu_kernels.random_bits(out.numpy(), draws.start, radius_bits, stream, *key)
    return out[:, :elements].to(device)


@functools.cache
def kernels() -> ModuleType | None:
    """Return `epsball.perturbations.gpu_kernels` if it works here."""
    try:
        from epsball.perturbations import gpu_kernels as module

        module.random_bits(torch.empty(1, 4, dtype=torch.int32, device="cuda"), range(1), 0, 0, (0, 0))
    except Exception as error:  # no Triton, no C compiler or no headers of Python: each raises its own
        _log.warning("the noise is made without Triton, which is slower: %s", error)
        return None
    return module


def uniform(
    seed: int, stream: int, radius: float, draws: range, elements: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Draw uniform numbers on (-1, 1) as odd integers in units of 2**-23, so that sums of their squares are exact.

    Arguments as for `random_bits`; returns an int32 tensor (draw, element), in (-2**23, 2**23).
    """
    return random_bits(seed, stream, radius, draws, elements, device).bitwise_right_shift_(8).bitwise_or_(1)


def normal(
    seed: int, stream: int, radius: float, draws: range, elements: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Draw normal numbers as integers, each looked up in `normal_table` by the upper 16 bits of a word.

    Logarithms and roots differ in their last bits between devices; integers from one table do not. Arguments as for
    `random_bits`; returns an int32 tensor (draw, element), in (-2**23, 2**23), of deviation `normal_deviation`.
    """
    places = random_bits(seed, stream, radius, draws, elements, device).bitwise_right_shift_(16).add_(2**15)
    return normal_table().to(device, non_blocking=True).index_select(0, places.flatten()).view_as(places)


@functools.cache
def normal_table() -> Tensor:
    """Return the quantiles of the normal distribution at (i + 1/2) / 2**16, in units of 2**-20; do not write to them.

    Normal numbers are thus 65,536 values of equal probability, each the median of its share of the distribution, and
    0.00004 standard deviations apart in the middle, 0.25 at the ends. The largest is 4.32; of the 150,528 elements of
    an image, two would lie beyond it. The variance is 0.99998 of the distribution's, for which `normal_deviation`
    corrects; the kurtosis is 2.999. No quantile is so close to a half that its rounding depends on how it is computed.

    Returns:
        int32 tensor (2**16,) on the CPU, rising, each number the negative of its counterpart.
    """
    from scipy.special import ndtri  # takes a third of a second to import, and only Gaussian noise needs it

    lower = np.rint(ndtri((np.arange(2**15) + 0.5) / 2**16) * 2**20).astype(np.int32)
    return torch.from_numpy(np.concatenate([lower, -lower[::-1]]))


@functools.cache
def normal_deviation() -> float:
    """Return the standard deviation of `normal`, in its unit."""
    return math.sqrt(int(normal_table().long().square().sum()) / 2**16)


# What draws independent integers for `epsball.perturbations.ball.scale`.
NOISES: dict[Noise, Callable[..., Tensor]] = {"uniform": uniform, "sphere": normal, "gaussian": normal}


def permutations(
    seed: int, stream: int, radius: float, draws: range, elements: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Draw random permutations: elements in the order of 32 random bits each, equal ones by number.

    The order is total, so every sorting algorithm gives the same permutation. Arguments as for `random_bits`; returns
    an int64 tensor (draw, element), each row a permutation of ``range(elements)``.
    """
    if torch.device(device).type == "cuda":
        return random_bits(seed, stream, radius, draws, elements, device).sort(dim=1, stable=True).indices
    keys = random_bits(seed, stream, radius, draws, elements)
    order = torch.empty(keys.shape, dtype=torch.int64)
    cpu_kernels.argsort_keys(keys.contiguous().numpy(), order.numpy())
    return order.to(device)


def grouped_permutations(seed: int, stream: int, radius: float, draws: range, groups: Tensor) -> Tensor:
    """Draw random permutations within groups: each group's elements in the order of 32 random bits each.

    Arguments as for `random_bits`, and `groups`: int64 (element,), group of each element, numbered from 0. Returns, on
    their device, an int64 tensor (draw, element), each row a permutation of elements with ``groups[row] == groups``.
    """
    if groups.is_cuda:
        return scatter_to_groups(permutations(seed, stream, radius, draws, len(groups), groups.device), groups)
    order, here = permutations(seed, stream, radius, draws, len(groups)), groups.cpu()
    slots, starts = here.sort(stable=True).indices, here.bincount().cumsum(dim=0).roll(1)
    starts[0] = 0
    permuted = torch.empty_like(order)
    cpu_kernels.scatter_to_groups(order.numpy(), here.numpy(), slots.numpy(), starts.numpy(), permuted.numpy())
    return permuted.to(groups.device)


def scatter_to_groups(order: Tensor, groups: Tensor) -> Tensor:
    """Do on tensors what `epsball.perturbations.cpu_kernels.scatter_to_groups` does."""
    by_group = order.gather(1, groups[order].sort(dim=1, stable=True).indices)
    return torch.empty_like(order).index_copy_(1, groups.sort(stable=True).indices, by_group)
