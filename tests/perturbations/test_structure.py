"""Permutations and noise that keep a structure: the structure itself, naive twins, and networks with known answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from epsball.config import Ball, Norm
from epsball.data import Pool, arrays
from epsball.perturbations import philox
from epsball.perturbations.ball import Draws, scale
from epsball.perturbations.families import family
from numpy.typing import NDArray
from scipy import stats
from support.naive_philox import naive_word
from support.toys import BALL, Stages, pictures
from torch import Tensor, nn

SHAPE = (19, 13, 3)  # patches of 8, 8 and 3 rows, of 8 and 5 columns
SEED = 2**63 + 29
PERMUTED = ["permuted_pixels", "permuted_channels", "permuted_patches", "permuted_low_frequency"]
ALL = [*PERMUTED, "low_frequency"]


def vectors(name: str, draws: range = range(10), norm: Norm = "l2", radius: float = 2.5) -> NDArray[np.float32]:
    """Draws as images, (draw, height, width, 3)."""
    drawn = family(name).draw(
        Draws(seed=SEED, radius=radius, draws=draws, shape=SHAPE, spec=replace(BALL, norm=norm), device="cpu")
    )
    assert drawn.dtype == torch.float32
    made: NDArray[np.float32] = drawn.view(len(draws), *SHAPE).numpy()
    return made


def base_of(name: str) -> NDArray[np.float32]:
    """What a family permutes, by plain loops over rows and columns where it is coarse."""
    stream = family(name).STREAMS[0]
    if name == "permuted_low_frequency":
        integers = torch.empty(SHAPE, dtype=torch.int32)
        for row, column, channel in np.ndindex(SHAPE):
            patch = (row // 8 * 2 + column // 8) * 3 + channel  # two patches are side by side
            integers[row, column, channel] = (naive_word(SEED, stream, 2.5, 0, patch) // 2**9) * 2 + 1 - 2**23
        integers = integers.view(1, -1)
    else:
        integers = philox.uniform(SEED, stream, 2.5, range(1), prod(SHAPE))
    made: NDArray[np.float32] = scale(integers, 2.5, "l2").view(SHAPE).numpy()
    return made


def parts(name: str, image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """What a family permutes within: lists of what is moved as one, in an order that does not depend on places."""
    if name == "permuted_pixels":
        pixels = image.reshape(-1, 3)
        return [pixels[np.lexsort(pixels.T)]]
    if name == "permuted_channels":
        return [np.sort(image[:, :, channel], axis=None) for channel in range(3)]
    if name == "permuted_patches":
        corners = [(row, column) for row in (0, 8, 16) for column in (0, 8)]
        return [
            np.sort(image[row : row + 8, column : column + 8, channel], axis=None)
            for row, column in corners
            for channel in range(3)
        ]
    return [np.sort(image, axis=None)]


@pytest.mark.parametrize("name", PERMUTED)
def test_a_draw_is_a_permutation_of_the_base_that_keeps_the_structure(name: str) -> None:
    base, drawn = base_of(name), vectors(name)
    for image in drawn:
        for found, expected in zip(parts(name, image), parts(name, base), strict=True):
            assert (found == expected).all()
    assert all((one != other).mean() > 0.5 for one, other in zip(drawn, [base, *drawn[:-1]], strict=True))


def test_a_structure_is_kept_by_its_own_family_alone() -> None:
    for name in PERMUTED[:3]:
        base, drawn = base_of(name), vectors(name)[0]
        for finer in {"permuted_pixels", "permuted_patches"} - {name}:
            same = [np.array_equal(a, b) for a, b in zip(parts(finer, drawn), parts(finer, base), strict=True)]
            assert not any(same)
    # Within channels of patches is within channels, too.
    for found, expected in zip(
        parts("permuted_channels", vectors("permuted_patches")[0]),
        parts("permuted_channels", base_of("permuted_patches")),
        strict=True,
    ):
        assert (found == expected).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("name", ALL)
def test_norms_are_the_radius(name: str, norm: Norm) -> None:
    for radius in (0.1, 20.0):
        drawn = vectors(name, norm=norm, radius=radius).reshape(10, -1).astype(np.float64)
        found = np.linalg.norm(drawn, axis=1) if norm == "l2" else 255 * np.abs(drawn).max(axis=1)
        assert found == pytest.approx(radius, rel=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_draws_do_not_depend_on_company(name: str) -> None:
    assert (vectors(name, range(3, 6)) == vectors(name)[3:6]).all()
    assert (vectors(name, radius=2.0) != vectors(name)).mean() > 0.9


def test_coarse_draws_are_constant_over_patches_and_fresh() -> None:
    drawn = vectors("low_frequency")
    values = drawn[:, ::8, ::8]  # of the upper left corners
    assert (drawn == values.repeat(8, axis=1).repeat(8, axis=2)[:, :19, :13]).all()
    assert values.shape == (10, 3, 2, 3)
    assert len(np.unique(values)) == values.size == 10 * 18
    correlations = np.asarray(np.corrcoef(values.reshape(10, -1)))
    assert abs(correlations[np.tril_indices(10, -1)]).max() < 0.9


def naive_permutation(groups: NDArray[np.int64], stream: int, draw: int) -> list[int]:
    """A permutation within groups, each by itself."""
    bits = np.array([naive_word(SEED, stream, 3.0, draw, element) for element in range(len(groups))])
    permutation = np.empty(len(groups), dtype=np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        permutation[members] = members[np.lexsort((members, bits[members]))]
    made: list[int] = permutation.tolist()
    return made


def test_grouped_permutations_are_the_naive_ones() -> None:
    groups = np.random.default_rng(0).integers(0, 5, 200)
    found = philox.grouped_permutations(SEED, 7, 3.0, range(2, 4), torch.from_numpy(groups))
    assert found.tolist() == [naive_permutation(groups, 7, draw) for draw in (2, 3)]


def test_tensors_and_compiled_loops_scatter_alike() -> None:
    groups = torch.from_numpy(np.random.default_rng(1).choice([0, 2, 3, 7], 200))  # some groups have no member
    order = philox.permutations(SEED, 7, 3.0, range(3), 200)
    permutations = philox.scatter_to_groups(order, groups)
    assert torch.equal(permutations, philox.grouped_permutations(SEED, 7, 3.0, range(3), groups))


def test_one_group_is_the_permutation_of_all() -> None:
    everything = philox.permutations(SEED, 7, 3.0, range(3), 200)
    assert torch.equal(everything, philox.grouped_permutations(SEED, 7, 3.0, range(3), torch.zeros(200).long()))
    for elements in (1, 2):
        alone = philox.grouped_permutations(SEED, 7, 3.0, range(3), torch.arange(elements))
        assert alone.tolist() == [list(range(elements))] * 3


def test_grouped_permutations_are_uniform_and_groups_independent() -> None:
    groups = torch.tensor([1, 0, 1, 0, 1, 0, 1])  # 3! × 4! permutations
    drawn = philox.grouped_permutations(5, 7, 1.0, range(14_400), groups).numpy()
    kinds, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(kinds) == 144
    assert stats.chisquare(counts).pvalue > 1e-3


def test_patches_and_channels_of_elements() -> None:
    expected = [(row // 8 * 2 + column // 8) * 3 + channel for row, column, channel in np.ndindex(SHAPE)]
    draws = Draws(SEED, 2.5, range(1), SHAPE, BALL)
    assert draws.patches.tolist() == expected
    assert max(expected) + 1 == 18
    assert draws.channels.tolist() == [channel for _, _, channel in np.ndindex(SHAPE)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ALL)
def test_a_gpu_gives_the_same_bits(name: str) -> None:
    there = family(name).draw(Draws(seed=SEED, radius=2.5, draws=range(10), shape=SHAPE, spec=BALL, device="cuda"))
    assert (there.cpu().numpy().reshape(10, *SHAPE) == vectors(name)).all()


class Through(nn.Module):
    """Logits that are linear in what is seen of an image."""

    def __init__(self, sees: Callable[[Tensor], Tensor], values: int) -> None:
        super().__init__()
        self.sees, self.layer = sees, nn.Identity()
        self.weight = nn.Buffer(torch.randn(values, 3, generator=torch.Generator().manual_seed(0)) / values**0.5)

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.layer(self.sees(x).flatten(start_dim=1))
        return seen @ self.weight


def mean(x: Tensor) -> Tensor:
    """Over all elements."""
    return x.mean(dim=(1, 2, 3), keepdim=True)


def channel_means(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3))


def patch_means(x: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(x, 8)


def contrasts(x: Tensor) -> Tensor:
    """How means of patches differ from that of all."""
    return patch_means(x) - mean(x)


def details(x: Tensor) -> Tensor:
    """What a patch's mean leaves."""
    return x - patch_means(x).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)


def hues(x: Tensor) -> Tensor:
    """Means over pixels of the products of their channels."""
    return torch.stack([(x[:, one] * x[:, other]).mean(dim=(1, 2)) for one, other in ((0, 1), (0, 2), (1, 2))], dim=1)


def squared_channels(x: Tensor) -> Tensor:
    """Means over pixels of the squares of each channel."""
    return x.square().mean(dim=(2, 3))


@pytest.fixture
def pool(tmp_path: Path, request: pytest.FixtureRequest) -> Pool:
    """Four images of four patches; grey throughout where a test is of a network that is not linear."""
    images, labels = pictures(4, size=16)
    if getattr(request, "param", "") == "grey":
        images = np.full_like(images, 128)
    np.savez(tmp_path / "pool.npz", images=images, labels=labels)
    return arrays.load(tmp_path / "pool.npz")


PROBES = ("symmetry", "symmetry_pixels", "symmetry_channels", "symmetry_patches", "isotropy", "isotropy_low_frequency")


def beyond(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of radii where a range is far from rounding."""
    return table[table["radius"] >= 1]


def still(table: pd.DataFrame) -> bool:
    """Whether the margin stands still at every radius, but for rounding."""
    return bool((table["margin_range"] < 2e-6).all())


def moves(table: pd.DataFrame) -> bool:
    """Whether it moves for every sample at the larger radii, far beyond that."""
    return bool((beyond(table)["margin_range"] > 2e-4).all())


LINEAR = [
    (mean, 1, {"symmetry", "symmetry_pixels", "symmetry_channels", "symmetry_patches"}),
    (channel_means, 3, {"symmetry_pixels", "symmetry_channels", "symmetry_patches"}),
    (patch_means, 12, {"symmetry_patches"}),
    (details, 768, {"isotropy_low_frequency"}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("sees", "values", "kept"), LINEAR, ids=[sees.__name__ for sees, _, _ in LINEAR])
def test_linear_networks_are_symmetric_where_what_they_see_is_kept(
    stages: Stages, sees: Callable[[Tensor], Tensor], values: int, kept: set[str]
) -> None:
    module = Through(sees, values)
    for name in PROBES:
        table = stages.run(module, name, layer="layer")
        assert still(table) if name in kept else moves(table), name


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["grey"], indirect=True)
def test_pixels_keep_their_colours_and_channels_their_values(stages: Stages) -> None:
    for sees, kept, lost in (
        (hues, "symmetry_pixels", "symmetry_channels"),
        (squared_channels, "symmetry_channels", "symmetry"),
    ):
        module = Through(sees, 3)
        assert still(stages.run(module, kept, layer="layer"))
        assert moves(stages.run(module, lost, layer="layer"))


@pytest.mark.slow
def test_a_permutation_takes_the_low_frequencies_away(stages: Stages) -> None:
    module, ball = Through(contrasts, 12), Ball(radii=(0.0, 0.1), epsilon=0.1, draws=100)
    coarse, permuted = (
        stages.run(module, name, ball, layer="layer").query("radius > 0")["margin_sd"].to_numpy()
        for name in ("isotropy_low_frequency", "symmetry_low_frequency")
    )
    # The mean of a patch is one number, or that of 64, drawn from those of the base: they vary about the base's mean.
    shares = []
    for seed in stages.samples["seed"]:
        base = family("permuted_low_frequency").draw(
            Draws(seed=int(seed), radius=0.1, draws=range(1), shape=(16, 16, 3), spec=BALL, device="cpu")
        )
        shares.append(float(base.std(correction=0) / base.square().mean().sqrt()))
    assert permuted / coarse == pytest.approx(np.array(shares) / 8, rel=0.25)
