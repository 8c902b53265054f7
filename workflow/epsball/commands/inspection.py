"""What some images show of a network: wrong channels, normalisation or labels show in a minute."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from epsball.analysis import intervals
from epsball.commands import trial
from epsball.commands.input_mismatch import find_mismatch
from epsball.commands.preflight import check
from epsball.config import Config, DatasetSpec, NetworkSpec
from epsball.data import Pool, open_pool
from epsball.errors import EpsballError, about, did_you_mean
from epsball.networks import model
from epsball.networks.consistency import rounds_images
from epsball.networks.forward import Forward, configure, inputs
from epsball.stages.select import eligible
from epsball.stages.survey import require_usable, survey


def inspect(config: Config, images: int) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    """Pass so many images of its dataset through each network, with its weights; one that the run has trained is used.

    Each extra probe and control is tried on the first of them.

    Returns:
        The table that `epsball check` prints; what may be wrong with a network, with what to do, by its name, and how
        many samples a dataset with several networks may have, by "datasets.<name>"; and a sentence for each probe and
        control that cannot be measured.
    """
    if images < 1:
        raise EpsballError(f"--images is {images}; it must be at least 1")
    check(config, config.folder / "datasets")
    configure(config.compute)
    found = {name: _inspect(config, spec, images) for name, spec in config.networks.items()}
    hints = {name: one.hint for name, one in found.items() if one.hint}
    for dataset in config.datasets.values():
        of_dataset = [found[spec.name] for spec in config.networks_of(dataset.name)]
        if len(of_dataset) > 1 and dataset.selection != "each":
            hints[f"datasets.{dataset.name}"] = _jointly(of_dataset, dataset)
    refusals = [sentence for one in found.values() for sentence in one.refused]
    return pd.DataFrame([one.row for one in found.values()]), hints, refusals


class _Found(NamedTuple):
    """What a check has found of a network."""

    row: dict[str, object]
    hint: str  # what may be wrong; empty if nothing
    refused: list[str]  # a sentence for each probe and control that cannot be measured
    sure: pd.Series | None  # whether each image is right above the threshold; None if the network is not trained yet
    pool: int  # images in the whole pool


def _jointly(found: Sequence[_Found], dataset: DatasetSpec) -> str:
    """Say how many images there may be of which enough networks of a dataset are sure: only those can be samples."""
    known = [one.sure for one in found if one.sure is not None]
    whom = "all" if dataset.selection == "all" else f"{dataset.share:.0%}"
    if len(known) < len(found):
        return f"how many images {whom} of its networks will be sure of is known once they are trained."
    both = np.mean(known, axis=0) >= dataset.share
    expected, low, high = (round(part * found[0].pool) for part in intervals.share(both))
    said = (
        f"{both.sum()} of {len(both)} images are right above {dataset.threshold} in {whom} of its {len(found)} "
        f"networks, so of {found[0].pool} about {expected} may be ({low} to {high} at 95%); {dataset.samples} samples "
        "are asked for."
    )
    few = " Lower `threshold`, give more images, or do with fewer samples or networks."
    return said + (few if expected < dataset.samples else "")


def _inspect(config: Config, spec: NetworkSpec, images: int) -> _Found:
    dataset, compute = config.datasets[spec.dataset], config.compute
    whole = _pool(config, spec)
    pool = whole.spread(images)
    # What a run has kept of a network that it does not train may be of another configuration than this.
    kept = config.folder / "networks" / spec.name / "weights.safetensors"
    restored = spec.training is not None and kept.is_file()
    trained = spec.training is None or restored
    network = model.restore(spec, kept) if restored else model.open_network(spec)
    if trained:
        with about(f"networks.{spec.name}"):
            require_usable(network, pool, compute.batch)
    passes = Forward(network, compute)
    table = survey(passes, pool, compute.batch, spec.name).images
    some = inputs(next(pool.batches(compute.batch))[1])
    start = time.perf_counter()
    logits, features = passes(some)  # which are filled up to a batch
    rate = compute.batch / (time.perf_counter() - start) / compute.threads
    passes.float64(some[:1])  # which a run will do
    refused = trial.refused(config, spec, network, pool)
    right = intervals.share(table["prediction"] == table["label"])
    accuracy, above = right.value, eligible(table, dataset.threshold)
    sure = intervals.share(above)
    row = {
        "network": spec.name,
        "dataset": dataset.name,
        "images": len(pool),
        "parameters": model.parameters(network),
        "features": network.features_from,
        "units": features.shape[1],
        "classes": logits.shape[1],
        "images/s": round(rate, 1),
        "accuracy": _with_interval(right) if trained else "not trained yet",
        "sure": f"{_with_interval(sure)} above {dataset.threshold}" if trained else "",
    }
    expected, low, high = (round(part * len(whole)) for part in sure)
    hint = ""
    if to := rounds_images(passes, some):
        hint = (
            f"it rounds its images to {to}: what is measured of perturbations that are no larger than its steps is the "
            "rounding; build it without, in float32, if it can be."
        )
    elif trained and (other := find_mismatch(passes, pool, table, logits.shape[1])) is not None:
        hint = f"{accuracy:.0%} right, but {other.right.mean():.0%} {other.assumption}: {other.advice}."
    elif torch.equal(logits, features):
        hint = (
            f"the output of layer '{spec.layer}' is the logits; what enters the classification layer is the "
            "output of the one before it, or, with `layer` left out, the input of the classification layer."
        )
    elif trained and expected < dataset.samples:
        hint = (
            f"{round(sure.value * len(table))} of {len(table)} images are right with a score above "
            f"{dataset.threshold}, so of {len(whole)} about {expected} may be ({low} to {high} at 95%); "
            f"{dataset.samples} samples are asked for. If {accuracy:.0%} right is less than you know of the network, "
            "check normalisation and class list. If not, lower `threshold`, give more images, or do with fewer samples."
        )
    return _Found(row, hint, refused, above if trained else None, len(whole))


def _with_interval(share: intervals.Estimate) -> str:
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def layers(config: Config, name: str) -> pd.DataFrame:
    """List the layers of a network in the order in which an image passes them.

    Returns:
        A row for each module that gives a tensor: layer (its name, for the configuration), module (its type), shape
        (of its output for one image), units.
    """
    if name not in config.networks:
        hint = did_you_mean(name, config.networks)
        raise EpsballError(f"--layers is '{name}', no network of the configuration; {hint}")
    spec = config.networks[name]
    image = inputs(next(_pool(config, spec).batches(1))[1])
    with about(f"networks.{name}"):
        # Without its `layer`, which may be what is looked for.
        network = model.Network(model.build(spec, pretrained=False))
        rows: list[dict[str, object]] = []
        names = {part: name for name, part in network.module.named_modules() if name}

        def keep(part: nn.Module, _: object, output: object) -> None:
            if isinstance(output, Tensor):
                shape, kind = output.shape[1:], type(part).__name__
                told = " × ".join(map(str, shape))
                rows.append({"layer": names[part], "module": kind, "shape": told, "units": shape.numel()})

        for part in names:
            if not isinstance(part, torch.jit.ScriptModule):  # which run no hooks
                part.register_forward_hook(keep)
        network.module.register_forward_pre_hook(lambda *_: rows.clear())  # a pass may have to be made again
        with torch.no_grad(), model.failing_in_a_sentence(image[0]):
            network.run(image)
    return pd.DataFrame(rows, columns=["layer", "module", "shape", "units"])


def _pool(config: Config, spec: NetworkSpec) -> Pool:
    return open_pool(config.datasets[spec.dataset], config.folder / "datasets" / spec.dataset)
