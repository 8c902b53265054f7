"""Mantel's test of distance matrices against a plain computation."""

from __future__ import annotations

import numpy as np
import pytest
from epsball.probes.mantel import mantel, square
from scipy.spatial.distance import pdist, squareform


def matrices(points: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Two distance matrices, of which the second is made to this share of the first."""
    generator = np.random.default_rng(points)
    before, noise = (squareform(pdist(generator.normal(size=(points, 3)))) for _ in range(2))
    return before, share * before + noise


@pytest.mark.parametrize("points", [3, 4, 12, 40])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_rho_is_the_correlation_of_the_distances(points: int, share: float) -> None:
    before, after = matrices(points, share)
    inner = np.triu_indices(points, 1)
    assert mantel(before, after)[0] == pytest.approx(np.corrcoef(before[inner], after[inner])[0, 1], abs=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_p_is_the_share_of_permutations_that_are_as_alike(share: float) -> None:
    before, after = matrices(12, share)
    inner = np.triu_indices(12, 1)
    generator = np.random.default_rng(1)
    orders = [generator.permutation(12) for _ in range(4000)]
    found = [np.corrcoef(before[np.ix_(order, order)][inner], after[inner])[0, 1] for order in orders]
    rho, p_value = mantel(before, after, permutations=999, seed=7)
    assert p_value == pytest.approx(np.mean(np.abs(found) >= abs(rho)), abs=0.05)
    assert mantel(before, after, permutations=999, seed=7) == (rho, p_value)


def test_what_is_one_matrix_twice_is_as_alike_as_can_be() -> None:
    before, _ = matrices(20, 0.0)
    rho, p_value = mantel(before, 3 * before + 1 - np.eye(20), permutations=199, seed=0)
    assert rho == pytest.approx(1, abs=1e-12)
    assert p_value == 1 / 200


@pytest.mark.parametrize("points", [0, 1, 2, 6])
def test_what_is_undefined_is_not_a_number(points: int) -> None:
    equal = 1 - np.eye(points)
    some = squareform(pdist(np.random.default_rng(0).normal(size=(points, 3)))) if points > 1 else equal
    assert np.isnan(mantel(equal, some, permutations=99)).all()
    assert np.isnan(mantel(some, equal, permutations=99)).all()
    assert np.isnan(mantel(np.zeros((points, points)), some, permutations=99)).all()


def test_without_permutations_there_is_no_p_value() -> None:
    assert np.isnan(mantel(*matrices(12, 0.5))[1])


def test_pairs_are_in_the_order_of_the_lower_triangle() -> None:
    assert square(np.array([1.0, 2.0, 3.0])).tolist() == [[0, 1, 2], [1, 0, 3], [2, 3, 0]]
