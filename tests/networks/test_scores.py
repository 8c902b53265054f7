"""Scores and margins against SciPy, also where a score is nearly 1."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest
from epsball.networks import scores
from scipy.special import log_softmax


def test_summary_is_scipys() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (50, 9)).astype(np.float32)
    labels = np.arange(50) % 9
    found = scores.summarise(logits, labels)
    expected = log_softmax(logits.astype(np.float64), axis=1)[np.arange(50), labels]
    assert -np.log1p(np.exp(-found.log_odds)) == pytest.approx(expected, abs=1e-12)
    assert (found.prediction == logits.argmax(axis=1)).all()
    others = [np.delete(row, label).max() for row, label in zip(logits, labels, strict=True)]
    assert scores.margin(found.logit, found.runner_up_logit) == pytest.approx(logits[np.arange(50), labels] - others)


@pytest.mark.parametrize("gap", [3, 30, 50, 300])
def test_shortfall_is_exact_however_sure_the_network_is(gap: int) -> None:
    found = scores.summarise(np.array([[1.0 + gap, 1.0]]), np.array([0]))
    getcontext().prec = 400
    exact = 1 - 1 / (1 + Decimal(-gap).exp())
    assert float(scores.shortfall(found.log_odds)[0]) == pytest.approx(float(exact), rel=1e-12)
    assert float(scores.score(found.log_odds)[0]) == pytest.approx(1 - float(exact), rel=1e-15)
