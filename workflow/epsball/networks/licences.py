"""Licences of images and weights: facts about their source, not advice."""

from __future__ import annotations

from epsball.config import DatasetSpec, NetworkSpec
from epsball.data import KINDS
from epsball.networks import sources
from epsball.runs.provenance import declared


def of_images(spec: DatasetSpec) -> str:
    """Return the terms of a dataset's images."""
    return str(declared(KINDS[spec.kind])["TERMS"])


def of_weights(spec: NetworkSpec) -> str:
    """Return the terms of a network's weights: those of its source, of the user's file, or of the training images."""
    if spec.weights is not None:
        return "those of your file"
    if spec.training is not None:
        return "those of the images that this run trained it on"
    return str(declared(sources.source(spec))["TERMS"])
