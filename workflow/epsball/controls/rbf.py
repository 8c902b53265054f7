"""A radial basis function with the network's score and slope at the sample: a function that nobody trained.

With score p and slope ‖∇p‖ at x, ``exp(-d² / 2σ²)`` has σ = p u / ‖∇p‖, where u = √(-2 ln p). Its centre is at distance
d = σ u from x, up the gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from epsball.networks.model import Network
from epsball.robustness.derivatives import log_odds
from epsball.robustness.differentiation import differentiable, differentiating

PROBES = ("isotropy", "symmetry")
OWN_FEATURES = False  # it has none
PASSES = 0

_NO_CLASS = -1e30  # a logit whose softmax is 0


class RadialBasisFunction(nn.Module):
    """A score from the distance to one centre; one other class gets the rest."""

    middle: Tensor
    width: Tensor
    label: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.classes = network, 0
        self.register_buffer("middle", torch.empty(0))
        self.register_buffer("width", torch.empty(0))
        self.register_buffer("label", torch.zeros((), dtype=torch.long))

    def refit_at(self, image: Tensor, label: int) -> None:
        """Match the network at this image from now on."""
        at = differentiable(image)[None].requires_grad_()
        with differentiating():
            logits, _ = self.network(at)
            # On the CPU from here on, because not every device has float64.
            odds = log_odds(logits[0].cpu().double(), label)
            gradient = torch.autograd.grad(odds, at)[0][0].cpu().double()
        self.label, self.classes = torch.full_like(self.label, label), logits.shape[1]
        odds = odds.detach()
        gradient = (-odds).sigmoid() * gradient  # of ln p; as float32, that of a sure score would be 0
        u, slope = (-2 * logsigmoid(odds)).sqrt(), gradient.norm()  # slope of ln p: ‖∇p‖ / p
        self.width = u / slope
        self.middle = image.cpu().double() + self.width * u * gradient / slope

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits whose softmax is the score, and no features."""
        # An image at a time, because the memory of a batch in float64 would be allocated anew each time.
        changes = (image.cpu().double() - self.middle.cpu() for image in torch.split(images, 1))
        square = torch.cat([change.flatten(start_dim=1).square().sum(dim=1) for change in changes])
        # The logarithm of 1 - score stays finite at the centre, too.
        log_score = (-square / (2 * self.width.cpu().double().square())).clamp_max(-1e-300)
        logits = torch.full((len(images), self.classes), _NO_CLASS, dtype=torch.float64)
        label = int(self.label)
        logits[:, label] = log_score
        logits[:, (label + 1) % self.classes] = torch.log(-torch.expm1(log_score))
        return logits, logits[:, :0]


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    return RadialBasisFunction(network)
