"""What goes beyond the paper, against closed forms and plain loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from epsball import probes
from epsball.analysis.verdicts import judge
from epsball.config import Norm
from epsball.perturbations.ball import Draws
from epsball.perturbations.families import family
from epsball.probes import alpha
from epsball.probes.mantel import mantel
from epsball.reporting import figures
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import pdist, squareform
from scipy.stats import kstest
from support.analytic import UNITS, Constant, Linear
from support.toys import BALL, Stages
from support.written_run import MINIMAL_RUN, write_run


def vectors(
    name: str, draws: range = range(100), shape: tuple[int, int, int] = (48, 48, 3), norm: Norm = "l2"
) -> torch.Tensor:
    """Draws in the ball of radius 10."""
    return family(name).draw(
        Draws(seed=5, radius=10.0, draws=draws, shape=shape, spec=replace(BALL, norm=norm), device="cpu")
    )


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_mixed_norms_are_evenly_distributed(norm: Norm) -> None:
    drawn = vectors("mixed_radius", range(2000), (10, 10, 3), norm)
    norms = drawn.double().norm(dim=1) / 10 if norm == "l2" else drawn.abs().amax(dim=1) * 25.5
    assert kstest(norms.numpy(), "uniform").pvalue > 0.01
    assert norms.max() <= 1 + 1e-6
    assert torch.equal(vectors("mixed_radius", range(7, 9), (10, 10, 3), norm), drawn[7:9])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alpha", "alpha_mixed_radius"])
def test_alpha_of_a_scaled_isometry_is_a_multiple_of_the_identity(stages: Stages, name: str) -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(UNITS, UNITS)))[0]
    table = stages.run(Linear(2.5 * rotation), name, layer="features")
    assert table.loc[table["radius"] == 0, "distance"].isna().all()
    table = table[table["radius"] > 0]
    assert table["distance"].to_numpy() == pytest.approx(0, abs=0.02)
    assert (table["shuffled"] > 0.15).all()


@pytest.mark.slow
def test_alpha_of_a_constant_network_is_not_defined(stages: Stages) -> None:
    assert stages.run(Constant(), "alpha", layer="layer")["distance"].isna().all()


@pytest.mark.slow
def test_topology_at_mixed_norms_is_kept_by_an_isometry(stages: Stages) -> None:
    table = stages.run(Linear(np.eye(UNITS)), "topology_mixed_radius", layer="features")
    assert table.loc[table["radius"] > 0, "rho"].to_numpy() == pytest.approx(1, abs=1e-6)


def test_distance_from_the_identity_is_that_of_plain_linear_algebra() -> None:
    generator = np.random.default_rng(3)
    before, after = (squareform(pdist(generator.normal(size=(12, 5)))) for _ in range(2))
    solved = np.linalg.inv(before) @ after
    nearest = minimize_scalar(lambda c: np.linalg.norm(solved - c * np.eye(12)))
    found, condition = alpha.from_identity(before, after)
    assert found == pytest.approx(nearest.fun / np.linalg.norm(solved))
    assert condition == pytest.approx(np.linalg.cond(before))


def test_two_draws_that_are_one_point_have_an_alpha() -> None:
    points = np.random.default_rng(3).normal(size=(12, 5))
    points[1] = points[0]
    distances = squareform(pdist(points))
    assert alpha.from_identity(distances, distances)[0] < 0.5


def test_a_random_projection_shows_that_one_radius_hides_what_mixed_ones_show() -> None:
    projection = torch.randn(6912, 300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = {}
    for name in ("uniform", "mixed_radius"):
        points = vectors(name).double()
        before, after = (squareform(pdist(some.numpy())) for some in (points, points @ projection))
        order = np.random.default_rng(1).permutation(100)
        own, condition = alpha.from_identity(before, after)
        shuffled, _ = alpha.from_identity(before, after[np.ix_(order, order)])
        found[name] = (mantel(before, after)[0], own, shuffled)
        if name == "uniform":  # c (11ᵀ - I) has the eigenvalues 99 c and -c; distances vary by 0.6%
            assert condition == pytest.approx(99, rel=0.2)
    rho, own, shuffled = found["uniform"]
    assert rho < 0.3
    assert own == pytest.approx(shuffled, abs=0.05)
    rho, own, shuffled = found["mixed_radius"]
    assert rho > 0.98
    assert own < 0.5 < shuffled


def test_further_probes_bring_their_figure() -> None:
    beyond = replace(MINIMAL_RUN, extra_probes=("topology_mixed_radius", "alpha", "alpha_mixed_radius"))
    assert probes.families(beyond) == ["mixed_radius", "permuted", "uniform"]
    assert set(figures.names(beyond)) - set(figures.names(MINIMAL_RUN)) == {"beyond_geometry"}


def test_comparisons_on_tables_with_known_answers(tmp_path: Path) -> None:
    write_run(tmp_path, samples=30, growth=10.0, floor=1e-6)
    beyond = replace(MINIMAL_RUN, extra_probes=("topology_mixed_radius", "alpha", "alpha_mixed_radius"))
    table = judge(beyond, tmp_path).set_index("claim")
    assert table.loc["topology, mixed against one radius", "estimate"] == pytest.approx(0.75)
    assert table.loc["Eq. 7 at one radius", "estimate"] == pytest.approx(0.5)
    assert table.loc["Eq. 7 at mixed radii", "verdict"] == "differs"
