"""
Random against worst direction, where the answer is known
=========================================================

A linear classifier of two classes has a flat boundary. Its nearest point is straight ahead. In a random direction of d
dimensions, it is further away by a factor whose median is 1.48 √d. So "random noise of that norm does nothing" says
nothing about adversarial perturbations: at 224 × 224 pixels the factor is 575.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from epsball.perturbations import philox
from epsball.reporting.figures import style
from epsball.robustness import boundary

SIDES = (4, 8, 16, 32)
RAYS = 200
medians, quartiles = [], []
for side in SIDES:
    elements = 3 * side * side
    normal = torch.randn(3, side, side, generator=torch.Generator().manual_seed(side))
    normal /= normal.norm()
    image = torch.full((3, side, side), 0.5) + 0.01 * normal  # the boundary is 0.01 away
    offset = float((0.5 * normal).sum())

    def logits(images: torch.Tensor, normal: torch.Tensor = normal, offset: float = offset) -> torch.Tensor:
        """Return the logits of two classes, one for each side of the plane."""
        along = (images * normal).sum(dim=(1, 2, 3)) - offset
        return torch.stack([along, -along], dim=1)

    drawn = philox.normal(2017, 0, 1.0, range(RAYS), elements).float()
    rays = [ray.view(3, side, side) / ray.norm() for ray in drawn]
    scans = [np.geomspace(0.01, 300, 40).tolist()] * RAYS
    found = boundary.crossings(logits, image, 0, rays, scans, two_sided=True)
    ratios = np.array([crossing.distance for crossing in found]) / 0.01
    medians.append(np.median(ratios))
    quartiles.append(np.quantile(ratios, (0.25, 0.75)))

# %%
# :func:`epsball.robustness.boundary.hyperplane_ratio` is the line; the probe ``boundary`` measures the points for a
# network.

elements_of = [3 * side * side for side in SIDES]
with style.paper():
    figure, ax = plt.subplots(figsize=(style.WIDTH * 0.7, 3))
    spread = np.abs(np.array(quartiles).T - medians)
    ax.errorbar(elements_of, medians, yerr=spread, fmt="o", capsize=3, label=f"median and quartiles of {RAYS} rays")
    ax.plot(elements_of, [boundary.hyperplane_ratio(d) for d in elements_of], "--", label="1.48 √d")
    ax.set(xscale="log", yscale="log", xlabel="dimension d", ylabel="random ÷ nearest distance")
    ax.legend()
    plt.show()
