"""Properties of networks, beside what a naive reading of the table says."""

from __future__ import annotations

import numpy as np
import pandas as pd
from epsball.analysis.properties import frontier
from hypothesis import given, settings
from hypothesis import strategies as st

LEVELS = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=8))
def test_no_network_is_more_accurate_and_farther_than_one_of_the_frontier(pairs: list[tuple[float, float]]) -> None:
    networks = pd.DataFrame(pairs, columns=["distance", "accuracy"]).assign(
        network=[f"n{i}" for i in range(len(pairs))]
    )
    samples = [networks.assign(sample=s, distance=networks["distance"] + shift) for s, shift in enumerate((-1, 0, 3))]
    found = frontier(pd.concat(samples))
    beaten = [
        any(d >= distance and a >= accuracy and (d, a) != (distance, accuracy) for d, a in pairs)
        for distance, accuracy in pairs
    ]
    best = {pair for pair, is_beaten in zip(pairs, beaten, strict=True) if not is_beaten}
    assert set(found.itertuples(index=False, name=None)) == best
    assert len(found) == len(best)
    assert np.all(np.diff(found["distance"]) < 0)
