"""Eq. 3: how much of the change of score and margin is gradient, how much Hessian, how much neither."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epsball.networks import scores
from epsball.probes.white_box_input import WhiteBoxInput
from epsball.robustness import derivatives
from epsball.robustness.differentiation import second_order

_AT_ONCE = 5  # draws: each holds four of every activation

DERIVATIVES = "measured"  # see `epsball.probes.derivatives`
PASSES = {"draw_at_radius": 9}  # see `epsball.probes.passes`; nested derivatives cost 8


def measure(inputs: WhiteBoxInput) -> pd.DataFrame:
    """Compute the explained variance over draws of Taylor's expansion at the sample, along the perturbations.

    Derivatives of the logits along v are the network's, in float32; those of the score and margin follow from them in
    float64, where a score near 1 would be rounding alone.

    Returns:
        A row a radius: radius, draws; for quantity in score, margin: {quantity}_first, 1 - Var(Δ - ∇v) / Var(Δ), and
        {quantity}_second, the same with ½ vᵀHv too, both at most 1 and below 0 where the expansion is worse than
        none; {quantity}_sd of Δ; {quantity}_mean, of Δ, with {quantity}_mean_second, of ∇v + ½ vᵀHv. logits_second,
        the norm of the logits' second derivatives over that of their first, which is 0 for a piecewise linear network.
    """
    rows = []
    clean, label = inputs.clean, inputs.label
    along = second_order(inputs.to_logits, inputs.pixels)
    before = scores.summarise(clean[None].numpy(), np.array([label]))
    for radius in inputs.ball.radii[1:]:
        images = inputs.perturbed("uniform", radius)
        after = scores.summarise(inputs.logits(images).numpy(), np.full(len(images), label))
        moves = torch.split(images - inputs.pixels, _AT_ONCE)
        parts = [along(inputs.to_logits, inputs.pixels, some) for some in moves]
        orders = (derivatives.require_finite(torch.cat(order)) for order in zip(*parts, strict=True))
        first, second = (order.cpu().double() for order in orders)  # (draw, classes)
        score = scores.shortfall(before.log_odds) - scores.shortfall(after.log_odds)
        margin = scores.margin(after.logit, after.runner_up_logit) - scores.margin(before.logit, before.runner_up_logit)
        row: dict[str, float] = {"radius": radius, "draws": len(images)}
        for name, change, expand in (("score", score, _score), ("margin", margin, _margin)):
            one, two = (part.numpy() for part in expand(clean, first, second, label))
            row[f"{name}_first"] = _explained(change, one)
            row[f"{name}_second"] = _explained(change, one + two)
            row[f"{name}_sd"] = float(change.std(ddof=1))
            row[f"{name}_mean"] = float(change.mean())
            row[f"{name}_mean_second"] = float((one + two).mean())
        length = first.norm()
        rows.append(row | {"logits_second": float(second.norm() / length) if length > 0 else np.nan})
    return pd.DataFrame(rows)


def _score(clean: Tensor, first: Tensor, second: Tensor, label: int) -> tuple[Tensor, Tensor]:
    """Return the first- and second-order part of the change of the score of each draw, by the chain rule."""
    scored = clean.softmax(dim=0)
    gradient = derivatives.score_gradient(clean, label)
    spread = ((first - first @ scored[:, None]) ** 2) @ scored
    own = first[:, label] - first @ scored
    curved = scored[label] * (own**2 - spread) + second @ gradient
    return first @ gradient, curved / 2


def _margin(clean: Tensor, first: Tensor, second: Tensor, label: int) -> tuple[Tensor, Tensor]:
    """Return the same for the margin; the expansion's other class is the clean image's."""
    other = derivatives.runner_up(clean, label)
    return first[:, label] - first[:, other], (second[:, label] - second[:, other]) / 2


def _explained(change: np.ndarray, expansion: np.ndarray) -> float:
    """Return the explained share of the variance over draws; not a number if there is no variance."""
    variance = change.var()
    return float(1 - (change - expansion).var() / variance) if variance > 0 else np.nan
