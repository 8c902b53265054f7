"""Datasets of the user's own: a function that returns images and labels, or a dataset of (image, label)."""

from __future__ import annotations

from pathlib import Path

from epsball import user_code
from epsball.config import DatasetSpec
from epsball.data import Pool, map_style
from epsball.errors import EpsballError

TERMS = "those of your images"


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`; the factory is told the split, if it has a parameter `split` or `train`."""
    options, owner = spec.options, f"datasets.{spec.name}"
    try:
        found = user_code.call(
            options["factory"],
            lambda function: map_style.split_arguments(function, split, options["args"])[0],
        )
    except EpsballError as error:
        raise EpsballError(f"{owner}: {error}") from None
    return map_style.pool(
        found, f"{owner}: what the factory returned", split, options.get("resize"), options.get("crop")
    )
