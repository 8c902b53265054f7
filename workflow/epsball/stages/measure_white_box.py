"""The measure_white_box stage: measure probes that ask the network itself, on a shard; nothing else is stored."""

from __future__ import annotations

import logging

import pandas as pd

from epsball.config import Ball, WhiteBox
from epsball.data import Pool
from epsball.errors import EpsballError
from epsball.networks.forward import Forward
from epsball.networks.model import Network
from epsball.probes import derivatives, white_box_probe
from epsball.probes.white_box_input import WhiteBoxInput
from epsball.robustness.true_derivative import wrong_derivative
from epsball.runs.gaps import explained
from epsball.runs.progress import Progress
from epsball.stages.perturb import sample_images

_log = logging.getLogger(__name__)


def measure_white_box(
    name: str,
    network: Network,
    network_name: str,
    forward: Forward,
    samples: pd.DataFrame,
    pool: Pool,
    ball: Ball,
    settings: WhiteBox,
    scale: float,
) -> pd.DataFrame:
    """Measure a white-box probe on each sample of a shard.

    The network is on the device of `forward`, which passes images through it in batches. The scale, which normalises a
    ratio, is the factor of g over that of h, of Eq. 9.

    Raises:
        UnavailableError: the probe fails.
    """
    parts: list[pd.DataFrame] = []
    module = white_box_probe(name)
    with Progress(f"{name} {network_name}", len(samples), "samples") as progress:
        for row, image in sample_images(samples, pool):
            inputs = WhiteBoxInput(
                sample=str(row.sample),
                image=image.to(forward.device),
                label=int(row.label),
                seed=int(row.seed),
                network=network,
                network_name=network_name,
                forward=forward,
                ball=ball,
                settings=settings,
                scale=scale,
            )
            with explained(f"probe '{name}'", network_name):
                if not parts:
                    _require_derivatives(name, inputs)
                table = module.measure(inputs)
            table.insert(0, "sample", inputs.sample)
            parts.append(table)
            progress.advance(1)
    return pd.concat(parts, ignore_index=True)


def _require_derivatives(probe: str, inputs: WhiteBoxInput) -> None:
    if not (use := derivatives(probe)) or not (wrong := wrong_derivative(inputs.network, inputs.pixels)):
        return
    if use == "measured":
        raise EpsballError(wrong)
    _log.warning("networks.%s: %s; attacks that follow it may miss nearer examples", inputs.network_name, wrong)
