"""Scaling against exact arithmetic; the effective perturbation; families."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
import torch
from epsball.config import Noise, Norm
from epsball.perturbations import ball, philox
from epsball.perturbations.ball import Draws
from epsball.perturbations.families import FAMILIES, family
from epsball.probes.mantel import square
from scipy.spatial.distance import pdist, squareform
from support.toys import BALL, UNIFORM


def exact_root(value: int) -> Fraction:
    """Square root of an integer to about 60 digits."""
    return Fraction(isqrt(value * 10**80), 10**40)


@pytest.mark.parametrize("radius", [0.1, 1.0, 20.0])
def test_l2_factor_is_the_exact_one_rounded(radius: float) -> None:
    integers = philox.uniform(1, UNIFORM, radius, range(2), 30_000)
    scaled = ball.scale(integers, radius, "l2")
    for row, vector in zip(integers.tolist(), scaled.numpy(), strict=True):
        exact = Fraction(radius) / exact_root(sum(number**2 for number in row))
        factor = np.float32(float(exact))
        assert (vector == np.array(row, dtype=np.float32) * factor).all()
        assert np.linalg.norm(vector.astype(np.float64)) == pytest.approx(radius, rel=1e-6)


def test_squares_do_not_overflow() -> None:
    integers = torch.full((1, 3_000_000), 2**24 - 1, dtype=torch.int32)
    scaled = ball.scale(integers, 5.0, "l2").double()
    assert float(scaled.norm()) == pytest.approx(5.0, rel=1e-6)


def test_linf_is_in_8_bit_levels() -> None:
    scaled = ball.scale(philox.uniform(1, UNIFORM, 20.0, range(3), 1000), 20.0, "linf")
    assert scaled.abs().amax(dim=1).tolist() == pytest.approx([20 / 255] * 3, rel=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("norm", "kind"), [("l2", "uniform"), ("linf", "uniform"), ("l2", "gaussian")])
def test_a_gpu_scales_to_the_same_bits(norm: Norm, kind: Noise) -> None:
    for seed in range(20):
        integers = philox.NOISES[kind](seed, UNIFORM, 1.0, range(50), 1000)
        for radius in (0.1, 3.0, torch.rand(50, dtype=torch.float64)):
            there = ball.scale(integers.cuda(), radius, norm, kind)
            assert torch.equal(there.cpu(), ball.scale(integers, radius, norm, kind))


def test_radius_0_moves_nothing() -> None:
    image = torch.rand(4, 4, 3)
    vectors = ball.scale(philox.uniform(1, UNIFORM, 0.0, range(3), 48), 0.0, "l2")
    images = ball.perturbed(image, vectors, clip=False)
    assert torch.equal(images, image.permute(2, 0, 1).expand(3, -1, -1, -1))
    assert ball.effective(image, images).abs().max() == 0


def test_effective_perturbation_is_what_the_network_saw() -> None:
    image = torch.rand(5, 4, 3)
    vectors = ball.scale(philox.uniform(1, UNIFORM, 0.1, range(3), 60), 0.1, "l2")
    images = ball.perturbed(image, vectors, clip=False)
    for draw in range(3):
        for row, column, channel in np.ndindex(5, 4, 3):
            seen = images[draw, channel, row, column].item()
            assert seen == np.float32(image[row, column, channel].item()) + np.float32(
                vectors[draw, (row * 4 + column) * 3 + channel].item()
            )
    effective = ball.effective(image, images)
    assert effective.dtype == torch.float64
    assert not torch.equal(effective, vectors.double())  # rounding is real
    assert float(effective[0, 0]) == float(images[0, 0, 0, 0]) - float(image[0, 0, 0])


def test_clipping_keeps_images_in_range() -> None:
    image = torch.rand(5, 4, 3)
    vectors = ball.scale(philox.uniform(1, UNIFORM, 20.0, range(3), 60), 20.0, "l2")
    assert ball.perturbed(image, vectors, clip=False).max() > 1
    clipped = ball.perturbed(image, vectors, clip=True)
    assert clipped.min() == 0
    assert clipped.max() == 1


@pytest.mark.slow
def test_distances_are_scipys() -> None:
    points = torch.randn(230, 5000, dtype=torch.float64)

    def some(draws: range) -> torch.Tensor:
        return points[draws.start : draws.stop]

    found = ball.distances(some, 230).numpy()
    assert square(found) == pytest.approx(squareform(pdist(points.numpy())), rel=1e-12)
    for count in (30, 100, 130):
        assert (found[: count * (count - 1) // 2] == ball.distances(some, count).numpy()).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_permuted_draws_are_permutations_of_one(norm: Norm) -> None:
    arguments = {"seed": 3, "radius": 2.0, "shape": (10, 10, 3), "spec": replace(BALL, norm=norm), "device": "cpu"}
    drawn = family("permuted").draw(Draws(draws=range(5), **arguments))  # type: ignore[arg-type]
    argsorted = drawn.sort(dim=1).values
    assert (argsorted == argsorted[0]).all()
    assert not torch.equal(drawn[0], drawn[1])
    later = family("permuted").draw(Draws(draws=range(3, 5), **arguments))  # type: ignore[arg-type]
    assert torch.equal(later, drawn[3:])


def test_uniform_draws_are_fresh_for_each_radius() -> None:
    arguments = {"seed": 3, "draws": range(2), "shape": (10, 10, 3), "spec": BALL, "device": "cpu"}
    one, two = (family("uniform").draw(Draws(radius=r, **arguments)) for r in (1.0, 2.0))  # type: ignore[arg-type]
    assert abs(float(torch.corrcoef(torch.stack([one[0], two[0]]))[0, 1])) < 0.3


# SHA-256 of draws when these families were written: where one changes, so does every table.
DRAWN = {
    ("uniform", "l2"): "c4cc22bc43b52de14f4160118959e6573e5245ef759509125a74a067d5c19916",
    ("permuted", "l2"): "0886901ba577b57724a02b6f132975675ef2c4780cf1c477d763329e111b2fd2",
    ("mixed_radius", "l2"): "d2779b692e7493b6bd4d5d1c67dc948cb69c5f4153b14678ee50972083703918",
    ("uniform", "linf"): "3404df01410d94f91efdb70b8e847f1cc1a0562cf7c0e23b84b8e8927e720db1",
    ("permuted", "linf"): "5849a4e5f88d28472d66b4d16f3f0fefbaf2d4065c60a6554b472b8a3afff739",
    ("mixed_radius", "linf"): "58f1440d76ffccb4df67a48f5856f4543a8d63770d25d0faaf5cde1e4a9e5186",
}


@pytest.mark.parametrize(("name", "norm"), DRAWN)
def test_draws_are_what_they_always_were(name: str, norm: Norm) -> None:
    drawn = family(name).draw(
        Draws(
            seed=2**63 + 17,
            radius=2.5,
            draws=range(3, 6),
            shape=(9, 11, 3),
            spec=replace(BALL, norm=norm),
            device="cpu",
        )
    )
    assert hashlib.sha256(drawn.numpy().tobytes()).hexdigest() == DRAWN[name, norm]


def test_families_share_no_stream() -> None:
    streams = [stream for name in FAMILIES for stream in family(name).STREAMS]
    assert len(set(streams)) == len(streams)
