"""The check before each run: every dataset opens, every network builds, and the two fit each other."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from epsball.config import Config, NetworkSpec, TrainingSpec
from epsball.controls import chosen_controls
from epsball.data import Pool, missing, open_pool
from epsball.errors import EpsballError, about
from epsball.networks import model
from epsball.networks.forward import device, inputs
from epsball.networks.sources import fetches
from epsball.probes import chosen_probes, require
from epsball.runs.gaps import collected

_log = logging.getLogger(__name__)


def check(config: Config, folder: Path) -> pd.DataFrame:
    """Open every dataset, in a run's folder of datasets, build every network, and pass one image through it.

    Returns:
        One row for each network: network, dataset, images, unusable (images that will be skipped), parameters, classes,
        units, height, width.

    Raises:
        EpsballError: there are mistakes; the message has one line for each.
    """
    mistakes: list[str] = []
    pools: dict[str, tuple[Pool, int]] = {}
    rows: list[dict[str, Any]] = []
    with _noting(mistakes):
        device(config.compute.device)
    for chosen in (chosen_probes, chosen_controls):
        with _noting(mistakes):
            chosen(config)
    for spec in config.datasets.values():
        if spec.options.get("download") and missing(spec):
            continue  # a rule downloads it
        with _noting(mistakes):
            pool = open_pool(spec, folder / spec.name)
            complaints = pool.verify()
            for complaint in complaints:
                _log.warning("datasets.%s: will be skipped: %s", spec.name, complaint)
            pools[spec.name] = pool, len(complaints)
    for network in config.networks.values():
        with _noting(mistakes):
            # Published weights are downloaded and verified by a rule.
            built = model.open_network(network, pretrained=not fetches(network))
            if network.dataset in pools:
                pool, skipped = pools[network.dataset]
                rows.append(_fit(config, network, built, pool, skipped))
                if network.training:
                    training = open_pool(config.datasets[network.dataset], folder / network.dataset, "train")
                    _require_training(network, network.training, training, pool, int(rows[-1]["classes"]))
    if mistakes:
        raise EpsballError("\n".join(mistakes))
    return pd.DataFrame(rows)


def _require_training(network: NetworkSpec, spec: TrainingSpec, training: Pool, pool: Pool, classes: int) -> None:
    """Check that there is a batch of images to train on, of the size of those to survey, with labels that fit."""
    sides = [next(some.batches(1))[1].shape[2:0:-1] for some in (training, pool)]
    if sides[0] != sides[1]:
        sizes = [f"{width} × {height}" for width, height in sides]
        raise EpsballError(
            f"datasets.{network.dataset}: images to train on have {sizes[0]} pixels, and others {sizes[1]}; set resize "
            "and crop"
        )
    if round((1 - spec.validation) * len(training)) < spec.batch:
        raise EpsballError(
            f"networks.{network.name}.training: of {len(training)} images, too few are left for a batch of {spec.batch}"
        )
    with about(f"networks.{network.name}"):
        model.require_labels(training.labels, classes, f"the training split of dataset '{network.dataset}' has")


@contextlib.contextmanager
def _noting(mistakes: list[str]) -> Iterator[None]:
    try:
        yield
    except EpsballError as error:
        mistakes.append(str(error))


def _fit(config: Config, spec: NetworkSpec, network: model.Network, pool: Pool, unusable: int) -> dict[str, Any]:
    picture = next(pool.batches(1))[1][0]
    with about(f"networks.{spec.name}"):
        classes, units = model.probe_shape(network, inputs(picture))
        if pool.classes is not None and pool.classes != classes:
            raise EpsballError(
                f"has {classes} outputs, but the class list of dataset '{spec.dataset}' has {pool.classes} entries; "
                "list one class an output"
            )
        model.require_labels(pool.labels, classes, f"dataset '{spec.dataset}' has")
        folders = len(pool.class_names or ())
        if config.datasets[spec.dataset].kind == "imagefolder" and pool.classes is None and folders < classes:
            _log.warning(
                "networks.%s has %d outputs, and dataset '%s' %d folders and no list of classes: they are taken "
                "for the first outputs; if that is wrong, set classes",
                spec.name,
                classes,
                spec.dataset,
                folders,
            )
    for name in chosen_probes(config, spec.name):
        with collected([], config.on_failure):
            require(name, network, spec.name, config.white_box)
    return {
        "network": spec.name,
        "dataset": spec.dataset,
        "images": len(pool),
        "unusable": unusable,
        "parameters": model.parameters(network),
        "classes": classes,
        "units": units,
        "height": picture.shape[0],
        "width": picture.shape[1],
    }
