"""Eq. 3: how much of the change of score and margin is gradient, how much Hessian, how much neither."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epsball.config import Ball, WhiteBox
from epsball.networks import scores
from epsball.probes.white_box_input import WhiteBoxInput
from epsball.robustness import derivatives

_FAMILY = "uniform"
_COST = 8  # of a pass with its derivatives, nested
_AT_ONCE = 5  # draws: each holds four of every activation


def passes(settings: WhiteBox, ball: Ball) -> int:
    """See `epsball.probes.WhiteBoxProbe`."""
    return (len(ball.radii) - 1) * min(settings.draws, ball.draws) * (1 + _COST)


def measure(subject: WhiteBoxInput) -> pd.DataFrame:
    """Explained variance over draws of Taylor's expansion at the sample, along the perturbations themselves.

    Derivatives of the logits along v are the network's, in float32; those of the score and margin follow from them in
    float64, where a score near 1 would be rounding alone.

    Returns:
        A row a radius: radius, draws; for quantity in score, margin: {quantity}_first, 1 - Var(Δ - ∇v) / Var(Δ), and
        {quantity}_second, the same with ½ vᵀHv too, both at most 1 and below 0 where the expansion is worse than
        none; {quantity}_sd of Δ; {quantity}_mean, of Δ, with {quantity}_mean_second, of ∇v + ½ vᵀHv. logits_second,
        the norm of the logits' second derivatives over that of their first, which is 0 for a piecewise linear network.
    """
    rows = []
    clean, label = subject.clean, subject.label
    before = scores.summarise(clean[None].numpy(), np.array([label]))
    for radius in subject.ball.radii[1:]:
        images = subject.perturbed(_FAMILY, radius)
        after = scores.summarise(subject.logits(images).numpy(), np.full(len(images), label))
        first, second = _derivatives(subject, images - subject.pixels)
        row: dict[str, float] = {"radius": radius, "draws": len(images)}
        changes = {
            "score": scores.shortfall(before.logit, before.logsumexp) - scores.shortfall(after.logit, after.logsumexp),
            "margin": scores.margin(after.logit, after.runner_up_logit)
            - scores.margin(before.logit, before.runner_up_logit),
        }
        for name, expand in (("score", _score), ("margin", _margin)):
            change = changes[name]
            one, two = (part.numpy() for part in expand(clean, first, second, label))
            row[f"{name}_first"] = _explained(change, one)
            row[f"{name}_second"] = _explained(change, one + two)
            row[f"{name}_sd"] = float(change.std(ddof=1))
            row[f"{name}_mean"] = float(change.mean())
            row[f"{name}_mean_second"] = float((one + two).mean())
        length = first.norm()
        row["logits_second"] = float(second.norm() / length) if length > 0 else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _derivatives(subject: WhiteBoxInput, perturbations: Tensor) -> tuple[Tensor, Tensor]:
    """Of the logits along each perturbation, float64 (draw, classes), first and second."""
    parts = [
        derivatives.along(subject.to_logits, subject.pixels, some) for some in torch.split(perturbations, _AT_ONCE)
    ]
    first, second = (torch.cat(orders).cpu().double() for orders in zip(*parts, strict=True))
    return first, second


def _score(clean: Tensor, first: Tensor, second: Tensor, label: int) -> tuple[Tensor, Tensor]:
    """First- and second-order part of the change of the score of each draw, by the chain rule."""
    scored = clean.softmax(dim=0)
    gradient = derivatives.score_gradient(clean, label)
    spread = ((first - first @ scored[:, None]) ** 2) @ scored
    own = first[:, label] - first @ scored
    curved = scored[label] * (own**2 - spread) + second @ gradient
    return first @ gradient, curved / 2


def _margin(clean: Tensor, first: Tensor, second: Tensor, label: int) -> tuple[Tensor, Tensor]:
    """The same of the margin; the expansion's other class is the clean image's."""
    other = derivatives.runner_up(clean, label)
    return first[:, label] - first[:, other], (second[:, label] - second[:, other]) / 2


def _explained(change: np.ndarray, expansion: np.ndarray) -> float:
    """Share of the variance over draws; not a number where there is none."""
    variance = change.var()
    return float(1 - (change - expansion).var() / variance) if variance > 0 else np.nan
