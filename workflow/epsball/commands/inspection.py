"""Inspect networks and datasets before a run: wrong channels, normalisation or labels show in a minute."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from epsball.analysis import intervals
from epsball.commands.input_mismatch import Interpretation, find_mismatch
from epsball.config import Config, DatasetSpec, NetworkSpec
from epsball.data import Pool, open_pool
from epsball.networks import model
from epsball.networks.forward import Forward, configure, inputs
from epsball.stages.select import eligible
from epsball.stages.survey import survey


@dataclass(frozen=True)
class Inspection:
    """What some images of its dataset show about a network.

    Attributes:
        network: the network.
        dataset: its dataset.
        pool: number of images in the dataset's pool.
        images: number of images requested.
        usable: number of these images that can be used.
        trained: whether it has its weights; a network that a run will train does not, and its accuracy says nothing.
        parameters: number of parameters.
        units: width of the features.
        classes: number of logits.
        features_are_logits: whether its layer is the last one.
        rate: images per second on one core.
        accuracy: share of images that are right.
        sure: share of images that are right with a score above the dataset's threshold.
        mismatch: what it seems to expect instead of what it is given; None if nothing.
    """

    network: NetworkSpec
    dataset: DatasetSpec
    pool: int
    images: int
    usable: int
    trained: bool
    parameters: int
    units: int
    classes: int
    features_are_logits: bool
    rate: float
    accuracy: float
    sure: intervals.Estimate
    mismatch: Interpretation | None


def inspect(config: Config, folder: Path, images: int) -> list[Inspection]:
    """Pass some images of its dataset through each network, with its weights.

    Args:
        config: configuration of the run.
        folder: folder of the run; a network that it has trained is used.
        images: number of images from each pool, evenly spaced.

    Raises:
        EpsballError: a dataset or a network does not work.
    """
    configure(config.compute)
    return [_inspect(config, spec, folder, images) for spec in config.networks.values()]


def _inspect(config: Config, spec: NetworkSpec, folder: Path, images: int) -> Inspection:
    dataset, compute = config.datasets[spec.dataset], config.compute
    whole = open_pool(dataset, folder / "datasets" / dataset.name)
    pool = whole.spread(images)
    # What a run has kept of a network that it does not train may be of another configuration than this.
    kept = folder / "networks" / spec.name / "weights.safetensors"
    restored = spec.training is not None and kept.is_file()
    trained = spec.training is None or restored
    network = model.restore(spec, kept) if restored else model.open_network(spec)
    passes = Forward(network, compute)
    table = survey(passes, pool, compute.batch, spec.name)
    image = _first_image(pool)
    start = time.perf_counter()
    logits, features = passes(image)  # which is filled up to a batch
    seconds = time.perf_counter() - start
    passes.float64(image)  # which a run will do
    return Inspection(
        network=spec,
        dataset=dataset,
        pool=len(whole),
        images=len(pool),
        usable=len(table),
        trained=trained,
        parameters=model.parameters(network),
        units=features.shape[1],
        classes=logits.shape[1],
        features_are_logits=torch.equal(logits, features),
        rate=compute.batch / seconds / compute.threads,
        accuracy=float((table["prediction"] == table["label"]).mean()),
        sure=intervals.share(eligible(table, dataset.threshold)),
        mismatch=find_mismatch(network, compute, pool, table, logits.shape[1]) if trained else None,
    )


def layers(config: Config, spec: NetworkSpec, folder: Path) -> pd.DataFrame:
    """List the layers of a network in the order in which an image passes them.

    Args:
        config: configuration of the run.
        spec: the network.
        folder: folder of the run.

    Returns:
        A row for each module that gives a tensor: layer (its name, for the configuration), module (its type), shape
        (of its output for one image), units.
    """
    dataset = config.datasets[spec.dataset]
    image = _first_image(open_pool(dataset, folder / "datasets" / dataset.name))
    network = model.build(spec, pretrained=False)
    rows: list[dict[str, object]] = []

    def keep(name: str, part: nn.Module, output: object) -> None:
        if isinstance(output, Tensor):
            shape = " × ".join(map(str, output.shape[1:]))
            rows.append({"layer": name, "module": type(part).__name__, "shape": shape, "units": output[0].numel()})

    for name, part in network.named_modules():
        if name:
            part.register_forward_hook(lambda part, _, output, name=name: keep(name, part, output))
    with torch.inference_mode():
        network(image)
    return pd.DataFrame(rows)


def _first_image(pool: Pool) -> Tensor:
    return inputs(next(pool.batches(1))[1])
