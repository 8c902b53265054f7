"""
The noise floor
===============

In a ball that is small enough, the range of the score is only rounding. The noise floor is measured, not guessed: one
draw at each of a few radii is computed in float32 and in float64, and the floor is the range that errors of this size
give over all draws. A range counts only if it exceeds ten noise floors.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from epsball.config import Ball, Compute
from epsball.networks import scores
from epsball.networks.forward import Forward, configure
from epsball.networks.model import Network
from epsball.perturbations.ball import perturbed_images
from epsball.probes import rounding
from epsball.reporting.figures import style
from torch import nn

compute = Compute(batch=20, threads=2, device="cpu")
configure(compute)
torch.manual_seed(0)
module = nn.Sequential(
    nn.Conv2d(3, 16, 5), nn.ReLU(), nn.Conv2d(16, 16, 5), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 24 * 24, 10)
)
forward = Forward(Network(module.eval().requires_grad_(False)), compute)

# %%
# The label is the class that the network predicts for the clean image.

RADII = tuple(10.0**power for power in range(-7, 2))
spec = Ball(radii=(0.0, *RADII), epsilon=RADII[0], draws=20)
image = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(1))
labels = np.full(20, int(forward(image.permute(2, 0, 1)[None])[0].argmax()))

drawn = [perturbed_images("uniform", image, seed=2017, radius=radius, draws=range(20), spec=spec) for radius in RADII]
log_odds = np.array([scores.summarise(forward(images)[0].numpy(), labels).log_odds for images in drawn])
ranges = np.ptp(scores.shortfall(log_odds), axis=1)

# %%
# One draw at every fourth radius is computed again in float64. The errors of the log-odds have one size at all radii;
# how much of it the score shows is its derivative, p (1 - p).

few = torch.stack([images[0] for images in drawn[::4]])
exact = scores.summarise(forward.float64(few)[0].numpy(), labels[: len(few)]).log_odds
deviation = np.sqrt(np.square(log_odds[::4, 0] - exact).mean())
slopes = (scores.score(log_odds) * scores.shortfall(log_odds)).max(axis=1)
floors = rounding.expected_range(20) * deviation * slopes

with style.paper():
    figure, ax = plt.subplots(figsize=(style.WIDTH * 0.7, 3))
    ax.loglog(RADII, ranges, "o-", label="range of the score")
    ax.loglog(RADII, floors, "x:", label="noise floor")
    ax.fill_between(RADII, floors * 10, min(floors), color=style.FLOOR, label="below ten noise floors")
    ax.set(xlabel="radius (L2, [0, 1] scale)", ylabel="range")
    ax.legend()
    plt.show()
