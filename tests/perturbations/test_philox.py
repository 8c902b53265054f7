"""The generator against published answers and against a naive one in Python's own integers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from epsball.perturbations import ball, cpu_kernels, philox
from scipy import stats
from support.naive_philox import KNOWN, naive_philox, naive_word
from support.toys import PERMUTATION, PERMUTED_BASE, ROOT, UNIFORM


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_published_answers(counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]) -> None:
    assert naive_philox(counter, key) == expected
    # The loop starts at element 0: the naive generator stands in for a published first word other than 0.
    first, draw, radius_bits, stream = counter
    out = np.empty((1, 400), dtype=np.int32)
    cpu_kernels.random_bits(out, draw, radius_bits, stream, *key)
    blocks = (out.astype(np.int64) + 2**31).reshape(-1, 4).tolist()
    assert blocks == [list(naive_philox((block, draw, radius_bits, stream), key)) for block in range(100)]
    if first == 0:
        assert blocks[0] == list(expected)


@pytest.mark.parametrize("elements", [1, 3, 4, 17, 100])
def test_words_are_the_naive_ones(elements: int) -> None:
    seed = 2**63 + 12345678901
    words = philox.random_bits(seed, PERMUTED_BASE, 0.1, range(2, 4), elements)
    expected = [[naive_word(seed, PERMUTED_BASE, 0.1, draw, e) for e in range(elements)] for draw in (2, 3)]
    assert (words.long() + 2**31).tolist() == expected


def test_draws_do_not_depend_on_company() -> None:
    together = philox.uniform(7, UNIFORM, 2.0, range(10), 5000)
    apart = torch.cat([philox.uniform(7, UNIFORM, 2.0, range(d, d + 1), 5000) for d in range(10)])
    assert torch.equal(together, apart)


def test_threads_change_no_bit() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    one = philox.permutations(3, PERMUTATION, 1.0, range(3), 60_000)
    torch.set_num_threads(2)
    two = philox.permutations(3, PERMUTATION, 1.0, range(3), 60_000)
    torch.set_num_threads(before)
    assert torch.equal(one, two)


def test_tensors_and_compiled_loops_give_the_same_bits() -> None:
    many = philox.random_bits(77 + (2**31 + 5) * 2**32, UNIFORM, 2.0, range(4, 7), 5000)
    few = torch.tensor([[5, -(2**31), 5, 2**31 - 1, 0, -1, 5, 2**11, 2**22]], dtype=torch.int32)  # and equal ones
    for keys in (many, few, few[:, :1], few[:, :2]):
        order = torch.empty(keys.shape, dtype=torch.int64)
        cpu_kernels.argsort_keys(keys.contiguous().numpy(), order.numpy())
        assert torch.equal(order, keys.sort(dim=1, stable=True).indices)
    integers = torch.cat([philox.uniform(7, UNIFORM, 2.0, range(3), 5000), torch.full((1, 5000), 1 - 2**24).int()])
    expected = [sum(value**2 >> 24 for value in row) for row in integers.tolist()]
    assert ball.squares(integers)[:, 0].tolist() == expected
    assert torch.equal(ball.squares(integers), ball.squares_on_tensors(integers))


def test_seeds_streams_radii_and_draws_differ() -> None:
    reference = philox.random_bits(1, UNIFORM, 1.0, range(1), 64)
    others = [
        philox.random_bits(2, UNIFORM, 1.0, range(1), 64),
        philox.random_bits(1 + 2**32, UNIFORM, 1.0, range(1), 64),
        philox.random_bits(1, PERMUTATION, 1.0, range(1), 64),
        philox.random_bits(1, UNIFORM, 2.0, range(1), 64),
        philox.random_bits(1, UNIFORM, 1.0, range(1, 2), 64),
    ]
    for other in others:
        assert (reference == other).sum() <= 1


def test_uniform_is_uniform_odd_and_centred() -> None:
    drawn = philox.uniform(5, UNIFORM, 1.0, range(4), 50_000).numpy()
    assert (drawn % 2 == 1).all()
    assert np.abs(drawn).max() < 2**23
    assert stats.kstest(drawn.ravel() / 2**23, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert abs(drawn.mean() / 2**23) < 4 / np.sqrt(3 * drawn.size)


def test_permutations_are_permutations_and_uniform() -> None:
    drawn = philox.permutations(9, PERMUTATION, 1.0, range(4000), 5).numpy()
    assert (np.sort(drawn, axis=1) == np.arange(5)).all()
    counts = np.array([(drawn[:, 0] == place).sum() for place in range(5)])
    assert stats.chisquare(counts).pvalue > 1e-3
    pairs = drawn[:, 0] * 5 + drawn[:, 1]
    counts = np.bincount(pairs, minlength=25)[[i for i in range(25) if i // 5 != i % 5]]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_permutations_sort_the_naive_keys() -> None:
    words = [naive_word(4, PERMUTATION, 3.0, 1, element) for element in range(50)]
    expected = sorted(range(50), key=lambda element: (words[element], element))
    assert philox.permutations(4, PERMUTATION, 3.0, range(1, 2), 50)[0].tolist() == expected


INTERPRETED = """
import torch
from epsball.perturbations import cpu_kernels, gpu_kernels

for elements, draws, bits, stream, key in (
    (5000, range(4, 7), 0x40000000, 0, (77, 2**31 + 5)),
    (64, range(3), 0x41200000, 1, (2**32 - 1, 2**32 - 1)),
    (8, range(1, 2), 1, 2, (0, 0)),
):
    loop, kernel = torch.empty(2, len(draws), elements, dtype=torch.int32)
    cpu_kernels.random_bits(loop.numpy(), draws.start, bits, stream, *key)
    gpu_kernels.random_bits(kernel, draws, bits, stream, key)
    assert torch.equal(loop, kernel)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="PyTorch has no Triton here")
def test_the_kernel_gives_the_same_bits_where_triton_interprets_it() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", INTERPRETED], env=environment, check=True)


COMPILED = """
import triton
from epsball.perturbations import gpu_kernels
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

numbers = ("first_draw", "radius_bits", "stream", "counters", "count")
signature = {"out": "*i32", "key": "i64", **dict.fromkeys(numbers, "i32"), "size": "constexpr"}
source = ASTSource(fn=gpu_kernels._random_bits, signature=signature, constexprs={(7,): 256})
assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="PyTorch has no Triton here")
def test_the_kernel_compiles_for_a_gpu_that_is_not_here() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", COMPILED], env=environment, check=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_where_there_is_no_kernel_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert philox.kernels.__wrapped__() is None
    assert "the noise is made without Triton, which is slower" in caplog.text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_bits() -> None:
    assert philox.kernels() is not None
    for make in (philox.uniform, philox.random_bits):
        here = make(7, UNIFORM, 2.0, range(3), 10_000)
        assert torch.equal(here, make(7, UNIFORM, 2.0, range(3), 10_000, "cuda").cpu())
    there = philox.permutations(7, PERMUTATION, 2.0, range(3), 10_000, "cuda").cpu()
    assert torch.equal(philox.permutations(7, PERMUTATION, 2.0, range(3), 10_000), there)


@pytest.mark.slow
@pytest.mark.fault("a file of Numba's cache that is empty or cut", "made anew, with the same bits")
def test_a_cache_of_compiled_code_that_is_cut_is_made_anew(tmp_path: Path) -> None:
    """By a copy of the library: its own cache is in use."""
    shutil.copytree(ROOT / "workflow" / "epsball", tmp_path / "epsball", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from epsball.perturbations import cpu_kernels as k; import numpy as np; " + (
        "out = np.zeros((1, 4), np.int32); k.random_bits(out, 0, 0, 0, 0, 0); print(out.tolist(), k.__file__)"
    )

    def run() -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    expected = run()
    assert str(tmp_path) in expected
    cached = list((tmp_path / "epsball" / "perturbations" / "__pycache__").glob("*.nb[ci]"))
    assert len(cached) >= 4
    for length in (0, 60):
        for path in cached:
            path.write_bytes(path.read_bytes()[:length])
        assert run() == expected
        cached = list(cached[0].parent.glob("*.nb[ci]"))
        assert all(path.stat().st_size > 60 for path in cached)
