"""Before any computing: does every dataset open, every network build, and does the one fit the other?"""

from __future__ import annotations

import logging
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
        config: of the run.
        folder: where the run keeps what it made for its datasets, a folder each.

    Returns:
        A row a network: network, dataset, images, unusable (of them, skipped), parameters, classes, units,
        height, width.

    Raises:
        EpsballError: naming every mistake that was found, one a line.
    """
    mistakes: list[str] = []
    pools: dict[str, Pool] = {}
    unusable: dict[str, int] = {}
    rows = []
    for look in (lambda: device(config.compute.device), lambda: chosen_probes(config), lambda: chosen_controls(config)):
        try:
            look()
        except EpsballError as error:
            mistakes.append(str(error))
    for spec in config.datasets.values():
        if spec.options.get("download") and missing(spec):
            continue  # a rule downloads it
        try:
            pool = open_pool(spec, folder / spec.name)
            complaints = pool.verify()
            for complaint in complaints:
                _log.warning("datasets.%s: will be skipped: %s", spec.name, complaint)
            pools[spec.name], unusable[spec.name] = pool, len(complaints)
        except EpsballError as error:
            mistakes.append(str(error))
    for network in config.networks.values():
        try:
            if network.dataset in pools:
                rows.append(_fit(config, network, pools[network.dataset], unusable[network.dataset]))
            else:
                model.open_network(network, pretrained=not fetches(network))
        except EpsballError as error:
            mistakes.append(str(error))
    if mistakes:
        raise EpsballError("\n".join(mistakes))
    return pd.DataFrame(rows)


def _fit(config: Config, spec: NetworkSpec, pool: Pool, unusable: int) -> dict[str, object]:
    # Published weights are downloaded and verified by a rule.
    network = model.open_network(spec, pretrained=not fetches(spec))
    picture = next(pool.batches(1))[1][0]
    try:
        classes, units = model.probe_shape(network, inputs(picture))
    except EpsballError as error:
        raise EpsballError(f"networks.{spec.name}: {error}") from None
    if pool.classes is not None and pool.classes != classes:
        raise EpsballError(
            f"networks.{spec.name}: has {classes} outputs, but the class list of dataset '{spec.dataset}' has "
            f"{pool.classes} entries; list one class an output"
        )
    if (worst := int(pool.labels.max())) >= classes or int(pool.labels.min()) < 0:
        raise EpsballError(
            f"networks.{spec.name}: has {classes} outputs, but dataset '{spec.dataset}' has labels from "
            f"{int(pool.labels.min())} to {worst}; labels count from 0 in the order of the outputs"
        )
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
