"""Random bits on a GPU, in one Triton kernel: no counter goes through memory.

Imported only where it is used: without Triton, or a C compiler for it, the same bits come from the CPU.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256  # counters in a program


# Not specialised: one kernel for all values. Triton takes types from calls, and annotations for constants.
@triton.jit(do_not_specialize=["key", "first_draw", "radius_bits", "stream", "counters", "count"])  # type: ignore[untyped-decorator]
def _random_bits(out, key, first_draw, radius_bits, stream, counters, count, size: tl.constexpr):  # type: ignore[no-untyped-def]
    place = tl.program_id(0).to(tl.int64) * size + tl.arange(0, size)
    zero = (place * 0).to(tl.uint32)
    draw = (place // counters + first_draw).to(tl.uint32)
    fixed = (zero + radius_bits).to(tl.uint32), (zero + stream).to(tl.uint32)
    w0, w1, w2, w3 = tl.philox(key, (place % counters).to(tl.uint32), draw, fixed[0], fixed[1])
    sign = (zero + 2**31).to(tl.uint32)
    inside = place < count
    tl.store(out + 4 * place, (w0 ^ sign).to(tl.int32, bitcast=True), inside)
    tl.store(out + 4 * place + 1, (w1 ^ sign).to(tl.int32, bitcast=True), inside)
    tl.store(out + 4 * place + 2, (w2 ^ sign).to(tl.int32, bitcast=True), inside)
    tl.store(out + 4 * place + 3, (w3 ^ sign).to(tl.int32, bitcast=True), inside)


def random_bits(out: Tensor, draws: range, radius_bits: int, stream: int, key: tuple[int, int]) -> None:
    """Do on a GPU what `epsball.perturbations.cpu_kernels.random_bits` does; `key` are two 32-bit words."""
    counters = out.shape[1] // 4
    count = len(draws) * counters
    both = key[0] | key[1] << 32
    signed = both - 2**64 if both >= 2**63 else both
    programs = (triton.cdiv(count, _BLOCK),)
    _random_bits[programs](out, signed, draws.start, radius_bits, stream, counters, count, _BLOCK)
