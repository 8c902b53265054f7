"""
What the draws of a ball look like
==================================

A rendered traffic sign with three draws at each of four radii. How visible a perturbation of a given L2 norm is depends
on the size of the image: at 48 × 48 pixels, a norm of 10 is a standard deviation of 0.12 per element.
"""

import matplotlib.pyplot as plt
import torch
from epsball.config import Ball
from epsball.data import signs
from epsball.perturbations.ball import perturbed_images
from epsball.reporting.figures import style

RADII = (1.0, 5.0, 10.0, 20.0)
spec = Ball(radii=(0.0, *RADII), epsilon=1.0, draws=3)
image = torch.from_numpy(signs.image("test", seed=1, number=17).copy()).float() / 255

# %%
# The sample's seed, the radius and the number of the draw determine a perturbation. The image is perturbed exactly as
# every network of the dataset would see it. A run clips nothing unless its configuration says so; here, values are
# clipped to [0, 1] for the picture only.

with style.paper():
    figure, axes = plt.subplots(3, len(RADII), figsize=(style.WIDTH, 5.4))
    for column, radius in enumerate(RADII):
        drawn = perturbed_images("uniform", image, seed=2017, radius=radius, draws=range(3), spec=spec)
        for ax, picture in zip(axes[:, column], drawn, strict=True):
            ax.imshow(picture.permute(1, 2, 0).clamp(0, 1), interpolation="nearest")
            ax.set_axis_off()
        axes[0, column].set_title(f"r = {radius:g}")
    plt.show()
