"""Training of a network on its dataset's training split."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from epsball.config import TrainingSpec
from epsball.datasets import Pool
from epsball.progress import Progress


def train(module: nn.Module, pool: Pool, spec: TrainingSpec, seed: int, name: str) -> list[float]:
    """Train in place by cross-entropy: AdamW, its learning rate on one cycle, images in a seeded order.

    Args:
        module: from RGB batches in [0, 1] to logits; trained in float32 on the CPU, left in eval mode.
        pool: the training split.
        spec: how.
        seed: of initialisation and order.
        name: for the progress.

    Returns:
        Mean loss of each epoch.
    """
    torch.manual_seed(seed)
    for part in module.modules():
        if callable(reset := getattr(part, "reset_parameters", None)):
            reset()
    module.train().requires_grad_(True).to(memory_format=torch.channels_last)
    steps = len(pool) // spec.batch
    optimiser = torch.optim.AdamW(module.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, spec.learning_rate, total_steps=steps * spec.epochs)
    losses = []
    with Progress(f"train {name}", steps * spec.batch * spec.epochs, "images") as progress:
        for _ in range(spec.epochs):
            total = 0.0
            order = torch.randperm(len(pool)).tolist()
            for step in range(steps):
                images, labels = _batch(pool, order[step * spec.batch : (step + 1) * spec.batch])
                loss = nn.functional.cross_entropy(module(images), labels)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()
                total += loss.item()
                progress.advance(spec.batch)
            losses.append(total / steps)
    module.eval().requires_grad_(False)
    return losses


def _batch(pool: Pool, numbers: list[int]) -> tuple[Tensor, Tensor]:
    images = torch.stack([torch.from_numpy(pool.read(number)) for number in numbers])
    return images.permute(0, 3, 1, 2).float() / 255, torch.from_numpy(pool.labels[numbers])
