"""Mantel's test against scikit-bio's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from epsball.probes.mantel import mantel
from scipy.spatial.distance import pdist, squareform
from skbio.stats import distance as skbio


@pytest.mark.parametrize("points", [4, 12, 40])
def test_each_pair_has_what_scikit_bio_gives(points: int) -> None:
    generator = np.random.default_rng(points)
    before = np.stack([squareform(pdist(generator.normal(size=(points, 3)))) for _ in range(5)])
    noise = np.stack([squareform(pdist(generator.normal(size=(points, 3)))) for _ in range(5)])
    after = np.linspace(0, 1, 5)[:, None, None] * before + noise  # from unrelated to alike
    after[3] = 1 - np.eye(points)
    rho, p_value = mantel(before, after, permutations=99, seed=7)
    for pair in range(5):
        with warnings.catch_warnings(action="ignore"):  # that one is constant
            expected = skbio.mantel(before[pair], after[pair], permutations=99, seed=np.random.default_rng(7))
        np.testing.assert_allclose((rho[pair], p_value[pair]), expected[:2], rtol=1e-10, equal_nan=True)
    assert np.isnan(rho[3]) and np.isnan(p_value[3])
    assert np.isfinite(p_value[[0, 1, 2, 4]]).all()


def test_what_is_one_matrix_twice_is_as_alike_as_can_be() -> None:
    matrix = squareform(pdist(np.random.default_rng(0).normal(size=(20, 3))))
    rho, p_value = mantel(matrix[None], 3 * matrix[None] + 1 - np.eye(20), permutations=199, seed=0)
    assert rho[0] == pytest.approx(1, abs=1e-12) and rho[0] <= 1
    assert p_value[0] == 1 / 200


def test_without_pairs_there_is_nothing_and_constant_ones_alone_are_no_numbers() -> None:
    none, constant = np.zeros((0, 6, 6)), np.zeros((2, 6, 6))
    assert [len(part) for part in mantel(none, none, permutations=9, seed=0)] == [0, 0]
    assert np.isnan(mantel(constant, constant, permutations=9, seed=0)).all()
