"""Terms of images and weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
from epsball import data
from epsball.config import DatasetSpec, NetworkSpec, TrainingSpec
from epsball.data import KINDS
from epsball.networks import sources
from epsball.networks.sources import SOURCES

LITE = NetworkSpec("net", "data", "efficientnet-lite:0")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_dataset_has_terms(kind: str) -> None:
    assert len(data.terms(DatasetSpec("data", kind, 1, 0.9))) > 10


@pytest.mark.parametrize("factory", [*(f"{name}:any" for name in SOURCES), "mine.py:make"])
def test_every_source_of_networks_has_terms(factory: str) -> None:
    assert sources.terms(replace(LITE, factory=factory))


def test_weights_of_the_users_own_are_not_those_of_the_source() -> None:
    assert sources.terms(LITE) == "Apache 2.0"
    assert sources.terms(replace(LITE, weights="mine.pt")) == "those of your file"
    trained = sources.terms(replace(LITE, factory="sign:ciresan2012", training=TrainingSpec()))
    assert trained == "those of the images that this run trained it on"
