"""What a white-box probe is given: one sample, and the network itself."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from epsball.config import Ball, WhiteBox
from epsball.networks.forward import Forward
from epsball.networks.model import Network
from epsball.perturbations.ball import perturbed_images


@dataclass(frozen=True)
class WhiteBoxInput:
    """One sample and a network, for probes that ask for derivatives, layers or attacks."""

    sample: str  #: the sample's name
    image: Tensor  #: float32 (height, width, 3) in [0, 1], on the device
    label: int  #: the sample's class
    seed: int  #: the sample's; what is random comes from it alone
    network: Network  #: images (n, 3, height, width) to logits (n, classes), features (n, units); differentiable
    network_name: str  #: its name in the configuration
    forward: Forward  #: the same network in batches of one size, without derivatives
    ball: Ball  #: radii, draws, norm, noise, clipping
    settings: WhiteBox  #: settings of white-box probes
    scale: float  #: factor of g over that of h, of Eq. 9, which normalises a ratio

    @property
    def pixels(self) -> Tensor:
        """The image as networks take it, float32 (3, height, width)."""
        return self.image.permute(2, 0, 1)

    @functools.cached_property
    def clean(self) -> Tensor:
        """Logits (classes,) of the image itself, float64 on the CPU."""
        return self.logits(self.pixels[None])[0].double()

    def perturbed(self, family: str, radius: float) -> Tensor:
        """Draw perturbed images of a family, float32 (draw, 3, height, width): the first draws of the run."""
        draws, device = range(min(self.settings.draws, self.ball.draws)), str(self.image.device)
        return perturbed_images(family, self.image, self.seed, radius, draws, self.ball, device)

    def to_logits(self, images: Tensor) -> Tensor:
        """Compute logits (n, classes), differentiable."""
        logits: Tensor = self.network(images)[0]
        return logits

    def to_features(self, images: Tensor) -> Tensor:
        """Compute features (n, units), differentiable."""
        features: Tensor = self.network(images)[1]
        return features

    def logits(self, images: Tensor) -> Tensor:
        """Compute logits (n, classes) of any number of images, float32 on the CPU."""
        return torch.cat([self.forward(batch)[0] for batch in torch.split(images, self.forward.size)])

    def features(self, images: Tensor) -> Tensor:
        """Compute features (n, units) of any number of images, float32 on the CPU."""
        return torch.cat([self.forward(batch)[1] for batch in torch.split(images, self.forward.size)])
