"""The check before each run: every dataset opens, every network builds, and the two fit each other."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from epsball.config import Config, NetworkSpec
from epsball.controls import chosen_controls
from epsball.data import Pool, missing, open_pool
from epsball.errors import EpsballError
from epsball.networks import model
from epsball.networks.forward import device, inputs
from epsball.networks.sources import fetches
from epsball.probes import PROBES, chosen_probes, require

_log = logging.getLogger(__name__)


def check(config: Config, folder: Path) -> pd.DataFrame:
    """Open every dataset and build every network, with one image.

    Args:
        config: configuration of the run.
        folder: folder in which the run keeps what it made for its datasets, with a subfolder for each.

    Returns:
        One row for each network: network, dataset, images, unusable (images that will be skipped), parameters, classes,
        units, height, width.

    Raises:
        EpsballError: there are mistakes; the message has one line for each.
    """
    mistakes: list[str] = []
    pools: dict[str, Pool] = {}
    unusable: dict[str, int] = {}
    rows = []
    with _noting(mistakes):
        device(config.compute.device)
    with _noting(mistakes):
        chosen_probes(config)
    with _noting(mistakes):
        chosen_controls(config)
    for spec in config.datasets.values():
        if spec.options.get("download") and missing(spec):
            continue  # a rule downloads it
        with _noting(mistakes):
            pool = open_pool(spec, folder / spec.name)
            complaints = pool.verify()
            for complaint in complaints:
                _log.warning("datasets.%s: will be skipped: %s", spec.name, complaint)
            pools[spec.name], unusable[spec.name] = pool, len(complaints)
    for network in config.networks.values():
        with _noting(mistakes):
            # Published weights are downloaded and verified by a rule.
            built = model.open_network(network, pretrained=not fetches(network))
            if network.dataset in pools:
                rows.append(_fit(config, network, built, pools[network.dataset], unusable[network.dataset]))
    if mistakes:
        raise EpsballError("\n".join(mistakes))
    return pd.DataFrame(rows)


@contextlib.contextmanager
def _noting(mistakes: list[str]) -> Iterator[None]:
    try:
        yield
    except EpsballError as error:
        mistakes.append(str(error))


def _fit(config: Config, spec: NetworkSpec, network: model.Network, pool: Pool, unusable: int) -> dict[str, object]:
    picture = next(pool.batches(1))[1][0]
    try:
        classes, units = model.probe_shape(network, inputs(picture))
        if pool.classes is not None and pool.classes != classes:
            raise EpsballError(
                f"has {classes} outputs, but the class list of dataset '{spec.dataset}' has {pool.classes} entries; "
                "list one class an output"
            )
        model.require_labels(pool.labels, classes, f"dataset '{spec.dataset}' has")
        if config.datasets[spec.dataset].kind == "imagefolder" and pool.classes is None:
            folders = int(pool.labels.max()) + 1
            if folders < classes:
                _log.warning(
                    "networks.%s has %d outputs, and dataset '%s' %d folders and no list of classes: they are taken "
                    "for the first outputs; if that is wrong, set classes",
                    *(spec.name, classes, spec.dataset, folders),
                )
    except EpsballError as error:
        raise EpsballError(f"networks.{spec.name}: {error}") from None
    for name in config.extra_probes:
        if name in PROBES:
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
