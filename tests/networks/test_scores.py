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
    assert found.logit - found.logsumexp == pytest.approx(expected, abs=1e-12)
    assert (found.prediction == logits.argmax(axis=1)).all()
    others = [np.delete(row, label).max() for row, label in zip(logits, labels, strict=True)]
    assert scores.margin(found.logit, found.runner_up_logit) == pytest.approx(logits[np.arange(50), labels] - others)


def test_shortfall_is_exact_where_the_score_is_nearly_1() -> None:
    found = scores.summarise(np.array([[30.0, 0.0]]), np.array([0]))
    getcontext().prec = 40
    exact = 1 - 1 / (1 + Decimal(-30).exp())
    assert float(scores.shortfall(found.logit, found.logsumexp)[0]) == pytest.approx(float(exact), rel=0.02)
