"""Normal noise: its table against Python's own quantiles, its distribution, its norms and its directions."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import torch
from epsball.config import Noise, Norm
from epsball.perturbations import ball, philox
from epsball.perturbations.ball import Draws
from epsball.perturbations.families import FAMILIES, family
from epsball.runs.store import open_store
from epsball.stages.perturb import perturb
from numpy.typing import NDArray
from scipy import stats
from support.naive_philox import naive_word
from support.toys import BALL, UNIFORM, Stages, conv_net

SHAPE = (10, 10, 3)
SEED = 2**63 + 31


def vectors(
    name: str, kind: Noise, draws: range = range(10), radius: float = 2.5, norm: Norm = "l2"
) -> NDArray[np.float64]:
    """Draws of a family, (draw, element)."""
    spec = replace(BALL, norm=norm, noise=kind)
    drawn = family(name).draw(Draws(seed=SEED, radius=radius, draws=draws, shape=SHAPE, spec=spec, device="cpu"))
    assert drawn.dtype == torch.float32
    made: NDArray[np.float64] = drawn.double().numpy()
    return made


def test_the_table_is_of_the_normal_quantiles() -> None:
    table = philox.normal_table().numpy()
    exact = np.array([NormalDist().inv_cdf((2 * place + 1) / 2**17) for place in range(2**16)]) * 2**20
    assert (table == np.rint(exact)).all()
    assert (table == -table[::-1]).all()
    assert (np.diff(table) > 0).all()
    assert 4.3 * 2**20 < table.max() < 2**23
    # Other versions of SciPy have to give the same integers: errors far above theirs would change none.
    assert abs(abs(exact - np.rint(exact)) - 0.5).min() > 1e-5
    assert hashlib.sha256(table.astype("<i4").tobytes()).hexdigest().startswith("7030c40868edff0a")
    assert philox.normal_deviation() == pytest.approx(table.std(), rel=1e-12)
    assert philox.normal_deviation() == pytest.approx(2**20, rel=2e-5)


def test_normal_numbers_are_looked_up_by_the_upper_bits_of_the_naive_words() -> None:
    found = philox.normal(SEED, UNIFORM, 0.1, range(2, 4), 50)
    assert found.dtype == torch.int32
    places = [[naive_word(SEED, UNIFORM, 0.1, draw, element) >> 16 for element in range(50)] for draw in (2, 3)]
    assert (found == philox.normal_table()[torch.tensor(places)]).all()


def test_normal_numbers_are_normal_and_independent() -> None:
    drawn = philox.normal(5, UNIFORM, 1.0, range(4), 50_000).numpy() / 2**20
    values = drawn.ravel()
    assert stats.kstest(values, stats.norm.cdf).pvalue > 1e-3  # steps of 2**-16 are small beside 1 / sqrt(200,000)
    deviation = 1 / np.sqrt(values.size)  # of the estimates below, times the root of the number in front
    assert abs(values.mean()) < 4 * deviation
    assert abs(values.var() - 1) < 4 * np.sqrt(2) * deviation
    assert abs(stats.skew(values)) < 4 * np.sqrt(6) * deviation
    assert abs(stats.kurtosis(values)) < 4 * np.sqrt(24) * deviation
    correlations = [np.corrcoef(drawn[0], drawn[1])[0, 1], np.corrcoef(values[1:], values[:-1])[0, 1]]
    assert np.abs(correlations).max() < 4 / np.sqrt(50_000)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("name", FAMILIES)
def test_norms_of_the_sphere_are_the_radius(name: str, norm: Norm) -> None:
    for radius in (0.1, 20.0):
        drawn = vectors(name, "sphere", radius=radius, norm=norm)
        found = np.linalg.norm(drawn, axis=1) if norm == "l2" else 255 * np.abs(drawn).max(axis=1)
        if name == "mixed_radius":
            assert (found <= radius * (1 + 1e-6)).all()
            assert np.ptp(found) > radius / 2
        else:
            assert found == pytest.approx(radius, rel=1e-6)


def test_norms_of_gaussian_noise_follow_the_chi_distribution() -> None:
    drawn, elements = vectors("uniform", "gaussian", range(3000)), 300
    found = np.linalg.norm(drawn, axis=1) / 2.5 * np.sqrt(elements)
    assert stats.kstest(found, stats.chi(elements).cdf).pvalue > 1e-3
    assert found.mean() == pytest.approx(stats.chi(elements).mean(), abs=4 * stats.chi(elements).std() / np.sqrt(3000))
    assert found.std() == pytest.approx(stats.chi(elements).std(), rel=4 / np.sqrt(6000))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_gaussian_noise_has_one_factor(name: str) -> None:
    """Twice the radius is twice the vector, for the same integers; its mean square is the radius' over all draws."""
    integers = philox.normal(SEED, family(name).STREAMS[0], 2.5, range(5), 300)
    once, twice = (ball.scale(integers, radius, "l2", "gaussian").double() for radius in (2.5, 5.0))
    factor = np.float32(2.5 / (np.sqrt(300) * philox.normal_deviation()))
    assert torch.equal(once, (integers.float() * float(factor)).double())
    assert torch.equal(2 * once, twice)
    samples = [
        family(name).draw(
            Draws(
                seed=seed, radius=2.5, draws=range(1), shape=SHAPE, spec=replace(BALL, noise="gaussian"), device="cpu"
            )
        )
        for seed in range(400)
    ]
    squares = torch.cat(samples).double().square().sum(dim=1).numpy() / 2.5**2
    expected = 1 / 3 if name == "mixed_radius" else 1  # norms that are evenly distributed
    assert abs(squares.mean() - expected) < 4 * squares.std() / np.sqrt(len(squares))
    assert squares.std() > 0.05


@pytest.mark.parametrize("kind", ["sphere", "gaussian"])
def test_all_directions_are_equally_likely(kind: Noise) -> None:
    """Second and fourth moments of projections are the same on an axis, where those of uniform noise are smaller."""
    count, elements = 20_000, 12
    generator = np.random.default_rng(0)
    axes = [
        np.eye(elements)[0],
        np.ones(elements),
        np.where(np.arange(elements) % 2, 1, -1),
        *generator.normal(size=(2, 12)),
    ]

    def moments(of: Noise, power: int) -> NDArray[np.float64]:
        integers = philox.NOISES[of](3, UNIFORM, 1.0, range(count), elements)
        drawn = ball.scale(integers, np.sqrt(elements), "l2", of).double().numpy()
        made: NDArray[np.float64] = np.array([((drawn @ axis / np.linalg.norm(axis)) ** power).mean() for axis in axes])
        return made

    fourth = 3 if kind == "gaussian" else 3 * elements / (elements + 2)
    assert moments(kind, 2) == pytest.approx(1, abs=4 * np.sqrt((fourth - 1) / count))
    assert moments(kind, 4) == pytest.approx(fourth, abs=4 * np.sqrt(96 / count))
    assert moments("uniform", 4)[0] < fourth - 0.5


@pytest.mark.parametrize("kind", ["sphere", "gaussian"])
@pytest.mark.parametrize("name", FAMILIES)
def test_draws_do_not_depend_on_company(name: str, kind: Noise) -> None:
    drawn = vectors(name, kind)
    assert (vectors(name, kind, range(3, 6)) == drawn[3:6]).all()
    if name.startswith("permuted"):
        assert (np.sort(drawn, axis=1) == np.sort(drawn[:1], axis=1)).all()
    assert (drawn != vectors(name, "uniform")).mean() > 0.9


@pytest.mark.slow
def test_stores_tell_what_the_norms_are(stages: Stages) -> None:
    norms = {}
    for kind in ("uniform", "sphere", "gaussian"):
        path = stages.folder / f"{kind}.zarr.zip"
        perturb("uniform", stages.samples, stages.pool, replace(BALL, noise=kind), path, {})
        norms[kind] = open_store(path)["norm"].values[:, -1]
    assert norms["uniform"] == pytest.approx(3, rel=1e-4)
    assert norms["sphere"] == pytest.approx(3, rel=1e-4)
    assert (norms["uniform"] != norms["sphere"]).any()
    # The standard deviation of a norm is r / sqrt(2 d), with 108 elements.
    assert norms["gaussian"].std() == pytest.approx(3 / np.sqrt(216), rel=0.4)


@pytest.mark.slow
def test_a_probe_sees_the_kind_of_noise(stages: Stages) -> None:
    module = conv_net()
    ranges = [stages.run(module, "symmetry", replace(BALL, noise=kind))["range"] for kind in ("uniform", "sphere")]
    assert (ranges[0][1:] != ranges[1][1:]).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_bits() -> None:
    there = philox.normal(7, UNIFORM, 2.0, range(3), 10_000, "cuda")
    here = philox.normal(7, UNIFORM, 2.0, range(3), 10_000)
    assert torch.equal(here, there.cpu())
    for kind in ("sphere", "gaussian"):
        assert torch.equal(ball.scale(here, 2.0, "l2", kind), ball.scale(there, 2.0, "l2", kind).cpu())
