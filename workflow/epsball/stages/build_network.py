"""The build_network stage: weights as safetensors and a card that says what they are."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from epsball.config import Compute, NetworkSpec
from epsball.data import Pool
from epsball.networks import model, sources
from epsball.networks.consistency import Reference, rounds_images
from epsball.networks.forward import Forward, inputs
from epsball.networks.state import loaded
from epsball.networks.weights import save
from epsball.runs import files, files_read, provenance
from epsball.stages.training import train
from epsball.user_code import contained

# Held-out images behind the accuracy in the card; the survey passes over the whole pool.
_ACCURACY_IMAGES = 1000


def build_network(
    spec: NetworkSpec,
    pool: Pool,
    training: Pool | None,
    compute: Compute,
    seed: int,
    weights: Path,
    card: Path,
    since: str = "",
    made_by: str = "",
    read_before: Collection[str] = (),
) -> None:
    """Build a network, train it on `training` if its specification says so, and write its weights and card.

    Pass some images of `pool`, the held-out split, for the accuracy and the rate in the card. `since` is that of
    `epsball.runs.files_read.keep`, `made_by` of `epsball.stages.training.train`, and `read_before` are files that
    its images to train on were read from.
    """
    if spec.training is not None and spec.training.seed is not None:
        seed = spec.training.seed
    torch.manual_seed(seed)  # of parameters that a network which is trained has no other way to reset
    with files_read.recording() as read:
        module = model.build(spec)
    history = None
    checkpoint = card.with_name("training.pt")
    if spec.training is not None and training is not None:
        with contained(f"networks.{spec.name}: its training"):
            history = train(module, training, spec.training, seed, spec.name, checkpoint, made_by)
    network = model.Network(module, spec.layer)
    height, width = next(pool.batches(1))[1].shape[1:3]
    with files_read.recording() as read_in_passes:
        reference = Reference.of(network.logits, (height, width))  # on the CPU, where it is restored
    facts: dict[str, Any] = {
        "network": spec.name,
        "dataset": spec.dataset,
        "factory": spec.factory,
        "parameters": model.parameters(module),
        **_measured(Forward(network, compute), pool, compute.batch),
        "layer": network.features_from,
        "digest": save(module, weights, network.classifier, reference),
        "weights_read": loaded(module) or "as they are",
        "files_read": files_read.keep(card.parent, read.union(read_in_passes, read_before), since),
        "training": None if spec.training is None else {**vars(spec.training), "history": history},
        "compute": vars(compute),
        "terms": sources.terms(spec),
        "versions": dict(provenance.versions()),
    }
    files.write_text(card, json.dumps(facts, indent=2) + "\n")
    checkpoint.unlink(missing_ok=True)


def _measured(forward: Forward, pool: Pool, batch: int) -> dict[str, float | str]:
    """Return the entries of the card that are measured by passing held-out images."""
    right = seen = units = classes = 0
    seconds = 0.0
    some = pool.spread(_ACCURACY_IMAGES)
    for numbers, pictures in some.batches(batch):
        images = inputs(pictures)
        start = time.perf_counter()
        logits, features = forward(images)
        seconds += time.perf_counter() - start
        right += int(np.sum(logits.argmax(1).numpy() == some.labels[numbers]))
        seen += len(numbers)
        classes, units = logits.shape[1], features.shape[1]
    passes = -(-seen // batch) * batch
    rounds = rounds_images(forward, inputs(next(pool.batches(2))[1]))
    facts = {"classes": classes, "units": units, "accuracy": right / seen, "accuracy_images": seen}
    return {**facts, "rounds_images_to": rounds, "images_per_second": passes / seconds}
