"""Try the probes and controls of a network on one image, before a run: what it cannot do is said with the reason."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import cast

import pandas as pd

from epsball import controls, probes
from epsball.config import Attack, Config, NetworkSpec, WhiteBox
from epsball.data import Pool, images
from epsball.networks.copying import copy_module
from epsball.networks.model import Network
from epsball.runs.gaps import UnavailableError
from epsball.stages.select import identify
from epsball.stages.standalone import tables_of

_BATCH, _DRAWS, _RADII = 4, 3, 3  # at most; the radii are 0, ε and the next


def refused(config: Config, spec: NetworkSpec, network: Network, pool: Pool) -> list[str]:
    """Try each extra probe and each control of a network on the first image of a pool.

    Args:
        config: configuration of the run; of its settings the smallest are tried.
        spec: configuration of the network.
        network: the network, which is left as it is.
        pool: pool of its images.

    Returns:
        A sentence for each that cannot be measured.
    """
    small, [number] = _smallest(config), next(pool.batches(1))[0]
    one = pool.take([number])
    rows = pd.DataFrame({"image": one.names, "label": one.labels, "digest": [images.digest(one.read(0))]})
    samples = identify(rows, config.seed)
    trials: list[tuple[list[str], list[str]]] = [
        ([probe], []) for probe in probes.chosen_probes(config, spec.name) if probe not in probes.PAPERS
    ]
    for control in controls.chosen_controls(config, spec.name):
        trials.append((controls.measured_by(config, control, spec.name), [control]))
    found = []
    logging.disable(logging.WARNING)  # each trial would say again what the first pass did
    try:
        for asked, beside in trials:
            try:
                tables_of(cast(Network, copy_module(network)), spec.name, samples, one, small, asked, beside)
            except UnavailableError as error:
                found.append(str(error))
    finally:
        logging.disable(logging.NOTSET)
    return found


def _smallest(config: Config) -> Config:
    batch = min(config.compute.batch, _BATCH)
    attacks: tuple[Attack, ...] = ("fgsm", "deepfool")  # of those of ours and of Foolbox's, the quickest
    fewest = WhiteBox(draws=_DRAWS, power_iterations=2, clever_batches=3, clever_size=1, directions=1, attacks=attacks)
    return replace(
        config,
        ball=replace(config.ball, radii=config.ball.radii[:_RADII], draws=_DRAWS),
        compute=replace(config.compute, batch=batch, float64_draws=2, compile=False),
        white_box=replace(fewest, layers=config.white_box.layers),
        mantel_permutations=99,
    )
