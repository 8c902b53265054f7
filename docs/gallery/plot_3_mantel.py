"""
Why Mantel's ρ is small at one radius
=====================================

A random linear map keeps all distances up to a percent or two. Nevertheless, Mantel's correlation of the distances
before and after it is small if all draws have the same norm, and nearly 1 if norms are mixed. So the small ρ that the
paper finds for ConvNets also appears for a linear map: at one radius, distances vary so little that there is almost
nothing to correlate.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from epsball.config import Ball
from epsball.perturbations.ball import Draws
from epsball.perturbations.families import family
from epsball.probes.mantel import mantel
from epsball.reporting.figures import style
from scipy.spatial.distance import pdist, squareform

SHAPE, DRAWS, UNITS = (48, 48, 3), 60, 300
spec = Ball(radii=(0.0, 10.0), epsilon=10.0, draws=DRAWS)
projection = np.random.default_rng(1).normal(0, UNITS**-0.5, (UNITS, 48 * 48 * 3))

# %%
# Below are the same directions at norm 10, and at norms spread evenly from 0 to 10.

with style.paper():
    figure, axes = plt.subplots(1, 2, figsize=(style.WIDTH, 3))
    for ax, name, title in zip(axes, ("uniform", "mixed_radius"), ("one norm", "mixed norms"), strict=True):
        points = family(name).draw(
            Draws(seed=2017, radius=10.0, draws=range(DRAWS), shape=SHAPE, spec=spec, device="cpu")
        )
        vectors = points.to(torch.float64).numpy()
        before, after = pdist(vectors), pdist(vectors @ projection.T)
        rho, p_value = mantel(squareform(before), squareform(after), permutations=199, seed=1)
        ax.plot(before, after, ".", markersize=1.5)
        ax.set(title=f"{title}: ρ = {rho:.2f}", xlabel="distance before", ylabel="distance after")
        print(f"{title}: distances spread by {before.std() / before.mean():.2%}, ρ = {rho:.3f} (p = {p_value:.3f})")
    plt.show()
