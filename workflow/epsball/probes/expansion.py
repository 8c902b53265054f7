"""Eq. 3: how much of the change of score and margin is gradient, how much Hessian, how much neither."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epsball import derivatives
from epsball.config import Ball, Direct
from epsball.subject import Subject

_FAMILY = "uniform"
_COST = 8  # of a pass with its derivatives, nested
_AT_ONCE = 5  # draws: each holds four of every activation


def passes(settings: Direct, ball: Ball) -> int:
    """See `epsball.probes.DirectProbe`."""
    return (len(ball.radii) - 1) * min(settings.draws, ball.draws) * (1 + _COST)


def measure(subject: Subject) -> pd.DataFrame:
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
    clean = subject.logits(subject.pixels[None])[0].double()
    for radius in subject.ball.radii[1:]:
        images = subject.perturbed(_FAMILY, radius)
        logits = subject.logits(images).double()
        first, second = _derivatives(subject, images - subject.pixels)
        row: dict[str, float] = {"radius": radius, "draws": len(images)}
        for name, expand in (("score", _score), ("margin", _margin)):
            change, one, two = (part.numpy() for part in expand(clean, logits, first, second, subject.label))
            row[f"{name}_first"] = _explained(change, one)
            row[f"{name}_second"] = _explained(change, one + two)
            row[f"{name}_sd"] = float(change.std(ddof=1))
            row[f"{name}_mean"] = float(change.mean())
            row[f"{name}_mean_second"] = float((one + two).mean())
        length = first.norm()
        row["logits_second"] = float(second.norm() / length) if length > 0 else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _derivatives(subject: Subject, perturbations: Tensor) -> tuple[Tensor, Tensor]:
    """Of the logits along each perturbation, float64 (draw, classes), first and second."""

    def function(images: Tensor) -> Tensor:
        out: Tensor = subject.network(images)[0]
        return out

    parts = [derivatives.along(function, subject.pixels, some)[1:] for some in torch.split(perturbations, _AT_ONCE)]
    first, second = (torch.cat(orders).cpu().double() for orders in zip(*parts, strict=True))
    return first, second


def _score(clean: Tensor, logits: Tensor, first: Tensor, second: Tensor, label: int) -> tuple[Tensor, Tensor, Tensor]:
    """Change of the score of each draw, and its first- and second-order part, by the chain rule."""
    scores = clean.softmax(dim=0)
    gradient = derivatives.score_gradient(clean, label)
    spread = ((first - first @ scores[:, None]) ** 2) @ scores
    own = first[:, label] - first @ scores
    curved = scores[label] * (own**2 - spread) + second @ gradient
    return _score_change(clean, logits, label), first @ gradient, curved / 2


def _score_change(clean: Tensor, logits: Tensor, label: int) -> Tensor:
    """Differences of scores, from those to 1, which do not cancel."""

    def shortfall(z: Tensor) -> Tensor:
        return -torch.expm1(z[..., label] - z.logsumexp(dim=-1))

    return shortfall(clean) - shortfall(logits)


def _margin(clean: Tensor, logits: Tensor, first: Tensor, second: Tensor, label: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same of the margin; the expansion's other class is the clean image's."""
    other = derivatives.runner_up(clean, label)
    others = torch.cat([logits[:, :label], logits[:, label + 1 :]], dim=1).amax(dim=1)
    change = (logits[:, label] - others) - (clean[label] - clean[other])
    return change, first[:, label] - first[:, other], (second[:, label] - second[:, other]) / 2


def _explained(change: np.ndarray, expansion: np.ndarray) -> float:
    """Share of the variance over draws; not a number where there is none."""
    variance = change.var()
    return float(1 - (change - expansion).var() / variance) if variance > 0 else np.nan
