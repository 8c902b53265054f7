"""Lipschitz numbers side by side: sampled, local and global. Their gaps are the finding.

The sampled ratio of Eq. 9 estimates ‖J‖_F / √d; the operator norm of the Jacobian is the local Lipschitz constant in
the limit of small radius; the product of the layers' norms over the graph (Szegedy et al. 2014) bounds it everywhere.
CLEVER (Weng et al. 2018) bounds another function, the margin.
"""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from torch import Tensor

from epsball.probes.white_box_input import WhiteBoxInput
from epsball.robustness import clever, derivatives
from epsball.robustness.global_bound import global_bound

DERIVATIVES = "measured"  # see `epsball.probes.derivatives`
PASSES = {"draw": 1, "power_iteration": 4, "clever_gradient": 3}  # see `epsball.probes.passes`


def measure(inputs: WhiteBoxInput) -> pd.DataFrame:
    """Compute Lipschitz numbers of Φ_L, features against images in L2, and of the margin.

    A sampled ratio at a radius r can exceed the Jacobian's norm, which is that of r = 0: where Φ_L is steeper some way
    off. The global bound cannot be exceeded.

    Returns:
        One row: sampled_max and sampled_rms, of the ratio over the draws at ε; jacobian_norm, with iterations, residual
        and converged of the power iteration, which comes from below; global_bound, not a number where unavailable says
        why; each of the four also normalised by g and h of Eq. 9, as {name}_normalised. Of the margin: margin;
        margin_gradient, the norm at the sample; clever_lipschitz, clever_largest and clever_score, see
        `epsball.robustness.clever.Clever`.
    """
    channels, height, width = inputs.pixels.shape
    bound, ratios = _bound(inputs.network, (channels, height, width)), _ratios(inputs)
    iterations = inputs.settings.power_iterations
    norm = derivatives.jacobian_norm(inputs.to_features, inputs.pixels, iterations, inputs.seed)
    row: dict[str, float | str | bool] = {
        "sampled_max": float(ratios.max()),
        "sampled_rms": float(np.sqrt(np.square(ratios).mean())),
        "jacobian_norm": norm.value,
        "global_bound": bound.value,
    }
    row |= {f"{name}_normalised": float(value) * inputs.scale for name, value in row.items()}
    row |= {"iterations": norm.iterations, "residual": norm.residual, "converged": norm.converged}
    return pd.DataFrame([row | {"unavailable": bound.unavailable} | _of_the_margin(inputs)])


_bound = functools.lru_cache(maxsize=1)(global_bound)  # the same for each sample of a shard


def _ratios(inputs: WhiteBoxInput) -> np.ndarray:
    """Compute ‖Φ_L(x+v) - Φ_L(x)‖ / ‖v‖ of the draws at ε."""
    images = inputs.perturbed("uniform", inputs.ball.epsilon)
    out = (inputs.features(images).double() - inputs.features(inputs.pixels[None]).double()).norm(dim=1)
    # On the CPU: not every device has float64.
    lengths = (images.cpu().double() - inputs.pixels.cpu().double()).flatten(start_dim=1).norm(dim=1)
    ratios: np.ndarray = (out / lengths).numpy()
    return ratios


def _of_the_margin(inputs: WhiteBoxInput) -> dict[str, float]:
    settings, label = inputs.settings, inputs.label
    other = derivatives.runner_up(inputs.clean, label)

    def margin(images: Tensor) -> Tensor:
        logits = inputs.to_logits(images)
        return logits[:, label] - logits[:, other]

    def norms(radius: float, batches: int, size: int) -> np.ndarray:
        return clever.gradient_norms(margin, inputs.pixels, radius, batches, size, inputs.forward.size, inputs.seed)

    value = float(inputs.clean[label] - inputs.clean[other])
    sampled = norms(settings.clever_radius, settings.clever_batches, settings.clever_size)
    found = clever.clever(value, sampled, settings.clever_radius)
    return {
        "margin": value,
        "margin_gradient": float(norms(0.0, 1, 1)[0, 0]),
        "clever_lipschitz": found.lipschitz,
        "clever_largest": found.largest,
        "clever_score": found.score,
    }
