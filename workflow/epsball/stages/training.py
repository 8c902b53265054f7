"""Training of a network on its dataset's training split, resumable from the last finished epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from epsball.config import TrainingSpec
from epsball.data import Pool
from epsball.networks.augmentation import augment, worst
from epsball.networks.forward import inputs
from epsball.runs import files, provenance
from epsball.runs.progress import Progress

_POINTS = 10  # points of the learning curve in an epoch


def hold_out(pool: Pool, share: float) -> tuple[Pool, Pool]:
    """Split a pool by track, if tracks are known, or else by image, in an order given by a hash.

    Args:
        pool: the training split.
        share: share of the tracks to hold out.

    Returns:
        The images to train on, and the held-out ones; frames of one track are all on one side.
    """
    units = list(pool.tracks or pool.names)
    argsorted = sorted(set(units), key=lambda unit: hashlib.sha256(unit.encode()).digest())
    held = set(argsorted[: round(share * len(argsorted))])
    sides: tuple[list[int], list[int]] = ([], [])
    for number, unit in enumerate(units):
        sides[unit in held].append(number)
    return pool.take(sides[0]), pool.take(sides[1])


def train(
    module: nn.Module,
    pool: Pool,
    spec: TrainingSpec,
    seed: int,
    name: str,
    checkpoint: Path | None = None,
    made_by: str = "",
) -> list[dict[str, float]]:
    """Train a network in place by cross-entropy: AdamW, a one-cycle learning rate, images in a seeded order.

    Adversarial training uses only the worst-case images, which a few steps find in a ball around each image.

    Args:
        module: network from RGB batches in [0, 1] to logits; trained in float32 on the CPU, left in eval mode.
        pool: the training split.
        spec: settings of the training.
        seed: seed of initialisation, order, augmentation and the search for worst-case images.
        name: name of the network in the progress.
        checkpoint: file that keeps the state after each epoch; an interrupted training continues from it, and ends with
            the same weights as an uninterrupted one.
        made_by: fingerprint of the training; one with another does not continue from it.

    Returns:
        The learning curve, one row per point: epoch (with the fraction done) and loss (mean since the previous point),
        and at the end of each epoch validation_loss and validation_accuracy, if images are held out.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(spec.threads)
    torch.manual_seed(seed)
    for part in module.modules():
        if callable(reset := getattr(part, "reset_parameters", None)):
            reset()
    module.train().requires_grad_(True).to(memory_format=torch.channels_last)
    training, validation = hold_out(pool, spec.validation)
    steps = len(training) // spec.batch
    optimiser = torch.optim.AdamW(module.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, spec.learning_rate, total_steps=steps * spec.epochs)
    parts = {"module": module, "optimiser": optimiser, "schedule": schedule}
    what = provenance.digest(made_by, spec, seed, len(pool), pool.labels.tolist(), str(module))
    history = _resume(checkpoint, what, parts)
    done = len([row for row in history if row["epoch"] % 1 == 0])
    with Progress(f"train {name}", steps * spec.batch * (spec.epochs - done), "images") as progress:
        for epoch in range(done, spec.epochs):
            losses: list[float] = []
            seen = _adversary(module, spec, seed, epoch)
            for step, (images, labels) in enumerate(_steps(training, spec, seed, epoch), start=1):
                loss = nn.functional.cross_entropy(module(seen(images, labels)), labels)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
                losses.append(loss.item())
                progress.advance(spec.batch)
                if step * _POINTS // steps > (step - 1) * _POINTS // steps:
                    history.append({"epoch": epoch + step / steps, "loss": float(np.mean(losses))})
                    losses = []
            history[-1] |= _validate(module, validation, spec.batch)
            _keep(checkpoint, what, parts, history)
    module.eval().requires_grad_(False)
    torch.set_num_threads(threads)
    return history


def _steps(pool: Pool, spec: TrainingSpec, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of an epoch, whose order and augmentation depend on seed and epoch alone."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    order = torch.randperm(len(pool), generator=generator).tolist()
    for start in range(0, len(pool) - spec.batch + 1, spec.batch):
        images, labels = _batch(pool, order[start : start + spec.batch])
        yield (augment(images, generator) if spec.augment else images), labels


def _adversary(module: nn.Module, spec: TrainingSpec, seed: int, epoch: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function from images to those trained on: the same, or the worst-case image in a ball around each."""
    if not spec.adversarial_radius:
        return lambda images, labels: images
    generator = torch.Generator().manual_seed((seed * 1_000_033 + epoch) % 2**63)
    radius, steps = spec.adversarial_radius, spec.adversarial_steps
    return lambda images, labels: worst(module, images, labels, radius, steps, generator)


def _batch(pool: Pool, numbers: list[int]) -> tuple[Tensor, Tensor]:
    return inputs(np.stack([pool.read(number) for number in numbers])), torch.from_numpy(pool.labels[numbers])


@torch.inference_mode()
def _validate(module: nn.Module, pool: Pool, batch: int) -> dict[str, float]:
    if not len(pool):
        return {}
    module.eval()
    loss = right = 0.0
    for start in range(0, len(pool), batch):
        images, labels = _batch(pool, list(range(start, min(start + batch, len(pool)))))
        logits = module(images)
        loss += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        right += (logits.argmax(1) == labels).sum().item()
    module.train()
    return {"validation_loss": loss / len(pool), "validation_accuracy": right / len(pool)}


def _resume(checkpoint: Path | None, what: str, parts: dict[str, Any]) -> list[dict[str, float]]:
    """Load the state that the same training has kept, and return the learning curve so far."""
    if checkpoint is None or not checkpoint.is_file():
        return []
    kept = torch.load(checkpoint, weights_only=True)
    if kept["what"] != what:
        return []
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    history: list[dict[str, float]] = kept["history"]
    return history


def _keep(checkpoint: Path | None, what: str, parts: dict[str, Any], history: list[dict[str, float]]) -> None:
    if checkpoint is not None:
        state = {name: part.state_dict() for name, part in parts.items()}
        with files.atomic_write(checkpoint) as beside:
            torch.save({"what": what, "history": history, **state}, beside)
