"""Under which terms images and weights are: said where they are used, as facts of their source, not as advice."""

from __future__ import annotations

from epsball.config import DatasetSpec, NetworkSpec
from epsball.data import KINDS
from epsball.networks import sources
from epsball.runs.provenance import declared


def of_images(spec: DatasetSpec) -> str:
    """Terms of a dataset's images."""
    return str(declared(KINDS[spec.kind])["TERMS"])


def of_weights(spec: NetworkSpec) -> str:
    """Terms of a network's weights: those of its source, where they are not a file of the user's or trained here."""
    if spec.weights is not None:
        return "those of your file"
    if spec.training is not None:
        return "those of the images that this run trained it on"
    return str(declared(sources.source(spec))["TERMS"])
