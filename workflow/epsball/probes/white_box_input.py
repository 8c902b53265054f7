"""What a white-box probe is given: one sample, and the network itself."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from epsball.config import Ball, WhiteBox
from epsball.networks.forward import Forward
from epsball.networks.model import Network
from epsball.perturbations import families
from epsball.perturbations.ball import perturbed_images


@dataclass(frozen=True)
class WhiteBoxInput:
    """One sample and a network, for probes that ask for derivatives, layers or attacks.

    Attributes:
        sample: its name.
        image: float32 (height, width, 3) in [0, 1], on the device.
        label: its class.
        seed: of the sample; what is random comes from it alone.
        network: from images (n, 3, height, width) to logits (n, classes) and features (n, units), differentiable in
            the images, on the device.
        network_name: in the configuration.
        forward: the same in batches of one size, without derivatives.
        ball: radii, draws, norm, noise, clipping.
        settings: of white-box probes.
        scale: that normalises a ratio: the factor of g over that of h, of Eq. 9.
    """

    sample: str
    image: Tensor
    label: int
    seed: int
    network: Network
    network_name: str
    forward: Forward
    ball: Ball
    settings: WhiteBox
    scale: float

    @property
    def pixels(self) -> Tensor:
        """The image as networks take it, float32 (3, height, width)."""
        return self.image.permute(2, 0, 1)

    @property
    def draws(self) -> range:
        """The draws of each family and radius that white-box probes look at: the first ones of the run's."""
        return range(min(self.settings.draws, self.ball.draws))

    def perturbed(self, family: str, radius: float, draws: range | None = None) -> Tensor:
        """Perturbed images of a family, those of the run, float32 (draw, 3, height, width)."""
        chosen = self.draws if draws is None else draws
        spec = families.ball(self.ball, family)
        return perturbed_images(family, self.image, self.seed, radius, chosen, spec, device=str(self.image.device))

    @functools.cached_property
    def clean(self) -> Tensor:
        """Logits (classes,) of the image itself, float64 on the CPU."""
        return self.logits(self.pixels[None])[0].double()

    def to_logits(self, images: Tensor) -> Tensor:
        """Logits (n, classes), differentiable."""
        out: Tensor = self.network(images)[0]
        return out

    def to_features(self, images: Tensor) -> Tensor:
        """Features (n, units), differentiable."""
        out: Tensor = self.network(images)[1]
        return out

    def logits(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of any number of images, float32 on the CPU."""
        return self._passed(images, 0)

    def features(self, images: Tensor) -> Tensor:
        """Features (n, units) of any number of images, float32 on the CPU."""
        return self._passed(images, 1)

    def _passed(self, images: Tensor, which: int) -> Tensor:
        size = self.forward.size
        return torch.cat([self.forward(images[start : start + size])[which] for start in range(0, len(images), size)])
