"""What white-box probes cost, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from epsball.config import Ball, WhiteBox
from epsball.probes import PROBES, is_white_box, passes

BALL = Ball(radii=(0.0, 0.1, 1.0, 10.0), draws=30)
SETTINGS = WhiteBox(draws=20, power_iterations=100, clever_batches=20, clever_size=10, directions=10)
BY_HAND = {
    "gradient": 5,
    "expansion": 3 * 20 * (1 + 8),
    "depth": 4 * (1 + 20),
    "lipschitz_bounds": 20 + 100 * 4 + 200 * 3,
    "frequency": 1,
    "boundary": 10 * 42 + 1200 + 530 + 300 + (10 + 6) * 3,
}


def test_every_white_box_probe_says_what_it_costs() -> None:
    assert set(BY_HAND) == {name for name in PROBES if is_white_box(name)}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_sample_costs(name: str) -> None:
    assert passes(name, SETTINGS, BALL) == BY_HAND[name]


def test_attacks_that_are_left_out_cost_nothing() -> None:
    few = replace(SETTINGS, attacks=("fgsm", "deepfool"))
    assert passes("boundary", few, BALL) == 10 * 42 + 90 + 140 + (10 + 2) * 3
