"""Training of a network on its dataset's training split, resumable from the last finished epoch."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from epsball.config import TrainingSpec
from epsball.data import Pool
from epsball.networks.augmentation import augment, worst
from epsball.networks.forward import arrange, inputs
from epsball.runs import files, provenance
from epsball.runs.progress import Progress

_log = logging.getLogger(__name__)

_POINTS = 10  # points of the learning curve in an epoch


def hold_out(pool: Pool, share: float) -> tuple[Pool, Pool]:
    """Return the images of a pool to train on, and a share of its tracks, or else of its images, that is held out.

    Frames of one track are all on one side; the order is given by a hash.
    """
    units = list(pool.tracks or pool.names)
    ordered = sorted(set(units), key=lambda unit: hashlib.sha256(unit.encode()).digest())
    held = np.isin(units, ordered[: round(share * len(ordered))])
    return pool.take(np.flatnonzero(~held).tolist()), pool.take(np.flatnonzero(held).tolist())


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

    Adversarial training uses only the worst-case images, which a few steps find in a ball around each image; Gaussian
    noise (Cohen, Rosenfeld & Kolter, ICML 2019) is drawn anew at each step, and what it gives is not clipped. The
    network, from RGB batches in [0, 1] to logits, is trained in float32 on the CPU and left in eval mode. The seed is
    that of initialisation, order, augmentation, noise and the search for worst-case images. A checkpoint keeps the
    state after each epoch: an interrupted training continues from it, and ends with the same weights as an
    uninterrupted one. One of a training with another fingerprint, `made_by`, is not continued.

    Returns:
        The learning curve, one row per point: epoch (with the fraction done) and loss (mean since the previous point),
        and at the end of each epoch validation_loss and validation_accuracy, if images are held out.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(spec.threads)
    torch.manual_seed(seed)
    for layer in module.modules():
        if callable(reset := getattr(layer, "reset_parameters", None)):
            reset()
    arrange(module.train().requires_grad_(True), torch.channels_last)
    training, validation = hold_out(pool, spec.validation)
    steps = len(training) // spec.batch
    optimiser = torch.optim.AdamW(module.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, spec.learning_rate, total_steps=steps * spec.epochs)
    parts: dict[str, Any] = {"module": module, "optimiser": optimiser, "schedule": schedule}
    what = provenance.digest(made_by, spec, seed, len(pool), pool.labels.tolist(), str(module))
    history: list[dict[str, float]] = []
    if (kept := _kept(checkpoint)).get("what") == what:
        history = kept["history"]
        for key, part in parts.items():
            part.load_state_dict(kept[key])
    done = len([row for row in history if row["epoch"] % 1 == 0])
    with Progress(f"train {name}", steps * spec.batch * (spec.epochs - done), "images") as progress:
        for epoch in range(done, spec.epochs):
            _seed((seed * 1_000_081 + epoch) % 2**63)
            losses: list[float] = []
            radius, chance = spec.adversarial_radius, torch.Generator()
            chance.manual_seed((seed * 1_000_033 + epoch) % 2**63)
            for step, (images, labels) in enumerate(_steps(training, spec, seed, epoch), start=1):
                seen = worst(module, images, labels, radius, spec.adversarial_steps, chance) if radius else images
                if spec.gaussian_noise:
                    seen = seen + spec.gaussian_noise * torch.randn(seen.shape, generator=chance)
                loss = nn.functional.cross_entropy(module(seen), labels, label_smoothing=spec.label_smoothing)
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
            if checkpoint is not None:
                state = {key: part.state_dict() for key, part in parts.items()}
                with files.atomic_write(checkpoint) as beside:
                    torch.save({"what": what, "history": history, **state}, beside)
    module.eval().requires_grad_(False)
    torch.set_num_threads(threads)
    return history


def _kept(checkpoint: Path | None) -> dict[str, Any]:
    """Return what a checkpoint holds; nothing if there is none that can be read."""
    if checkpoint is None or not checkpoint.is_file():
        return {}
    try:
        kept = torch.load(checkpoint, weights_only=True)
    except Exception as error:  # of a damaged file, PyTorch raises many kinds
        _log.warning("%s cannot be read (%s); training begins anew", checkpoint, str(error).partition("\n")[0])
        return {}
    return kept if isinstance(kept, dict) else {}


def _seed(seed: int) -> None:
    """Seed what a network may draw from in training, such as dropout, so that a resumed training draws the same."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 -- it is the one that a network may use
    random.seed(seed)


def _steps(pool: Pool, spec: TrainingSpec, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of an epoch, whose order and augmentation depend on seed and epoch alone."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    order = torch.randperm(len(pool), generator=generator).tolist()
    for start in range(0, len(pool) - spec.batch + 1, spec.batch):
        images, labels = _batch(pool, order[start : start + spec.batch])
        yield (augment(images, generator) if spec.augment else images), labels


def _batch(pool: Pool, numbers: list[int]) -> tuple[Tensor, Tensor]:
    return inputs(np.stack([pool.read(number) for number in numbers])), torch.from_numpy(pool.labels[numbers])


@torch.no_grad()
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
