"""
Permuting noise does not change its spectrum
============================================

The paper argues that a permutation moves the energy of a perturbation to other frequencies, to which filters respond.
But the spectrum of independent noise is flat before and after a permutation. The spectrum of noise that is constant
over patches of 8 × 8 pixels is not, which is why epsball has the families ``low_frequency`` and
``permuted_low_frequency``.
"""

import matplotlib.pyplot as plt
import numpy as np
from epsball.config import Ball
from epsball.perturbations.ball import Draws
from epsball.perturbations.families import family
from epsball.reporting.figures import style

SIDE = 48
spec = Ball(radii=(0.0, 5.0), epsilon=5.0, draws=40)


def spectrum(name: str, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Energy by distance from frequency 0, over its mean over all frequencies; mean over draws and channels."""
    drawn = family(name).draw(
        Draws(seed=2017, radius=5.0, draws=range(draws), shape=(SIDE, SIDE, 3), spec=spec, device="cpu")
    )
    energy = np.abs(np.fft.fft2(drawn.reshape(-1, SIDE, SIDE, 3).numpy(), axes=(1, 2))) ** 2
    along = np.fft.fftfreq(SIDE)
    ring = np.rint(np.hypot(*np.meshgrid(along, along)) * SIDE).astype(int)
    mean = energy.mean(axis=(0, 3))
    rings = np.arange(SIDE // 2 + 1)
    return rings / SIDE, np.array([mean[ring == number].mean() for number in rings]) / mean.mean()


# %%
# The left picture has independent elements, the right one patches; dashed lines are forty permutations of one draw.

with style.paper():
    figure, axes = plt.subplots(1, 2, figsize=(style.WIDTH, 2.9), sharey=True)
    pairs = (("uniform", "permuted"), ("low_frequency", "permuted_low_frequency"))
    for ax, (drawn, shuffled), title in zip(axes, pairs, ("independent elements", "8 × 8 patches"), strict=True):
        ax.semilogy(*spectrum(drawn, 40), label="draws")
        ax.semilogy(*spectrum(shuffled, 40), "--", label="permutations of one draw")
        ax.set(title=title, xlabel="frequency (cycles per pixel)")
    axes[0].set_ylabel("energy / mean")
    axes[0].legend()
    plt.show()
