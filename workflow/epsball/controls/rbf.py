"""A radial basis function with the network's score and slope at the sample: a function that nobody trained.

With score p and slope ‖∇p‖ at x, ``exp(-d² / 2σ²)`` has σ = p u / ‖∇p‖, where u = √(-2 ln p). Its centre is at distance
d = σ u from x, up the gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from epsball.networks.model import Network
from epsball.robustness.derivatives import log_odds, require_finite
from epsball.robustness.differentiation import differentiable, differentiating

PROBES = ("isotropy", "symmetry")
OWN_FEATURES = False  # it has none
PASSES = 0

_NO_CLASS = -1e30  # a logit whose softmax is 0
_SURE = 40  # log-odds from which -ln p is 1 - p to the last bit


class RadialBasisFunction(nn.Module):
    """A score from the distance to one centre; one other class gets the rest."""

    middle: Tensor
    rate: Tensor  # ln 1 / 2σ²
    label: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.classes = network, 0
        self.register_buffer("middle", torch.empty(0))
        self.register_buffer("rate", torch.empty(0))
        self.register_buffer("label", torch.zeros((), dtype=torch.long))

    def refit_at(self, image: Tensor, label: int) -> None:
        """Match the network at this image from now on."""
        at = differentiable(image)[None].requires_grad_()
        with differentiating():
            logits, _ = self.network(at)
            # On the CPU from here on, because not every device has float64.
            odds = log_odds(logits[0].cpu().double(), label)
            gradient = require_finite(torch.autograd.grad(odds, at)[0])[0].cpu().double()
        self.label, self.classes = torch.full_like(self.label, label), logits.shape[1]
        odds = odds.detach()
        # In logarithms: 1 - p of a very sure score is 0 as a number. The slope of ln p is 1 - p times that of the odds.
        slope, rest = gradient.norm(), logsigmoid(-odds)
        ratio = torch.where(odds > _SURE, 1.0, -logsigmoid(odds) / rest.exp())  # -ln p / (1 - p)
        self.rate = rest + 2 * slope.log() - (4 * ratio).log()
        self.middle = image.cpu().double() + 2 * ratio / slope * gradient / slope

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits whose softmax is the score, and no features."""
        # An image at a time, because the memory of a batch in float64 would be allocated anew each time.
        changes = (image.cpu().double() - self.middle.cpu() for image in torch.split(images, 1))
        square = torch.cat([change.flatten(start_dim=1).square().sum(dim=1) for change in changes])
        log_loss = square.log() + self.rate.cpu().double()  # ln of -ln p
        logits = torch.full((len(images), self.classes), _NO_CLASS, dtype=torch.float64)
        label, loss = int(self.label), log_loss.exp()
        rest = torch.where(log_loss < -_SURE, log_loss, torch.log(-torch.expm1(-loss)))  # ln (1 - p)
        logits[:, label] = -loss
        logits[:, (label + 1) % self.classes] = rest.clamp_min(_NO_CLASS)  # at the centre
        return logits, logits[:, :0]


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    return RadialBasisFunction(network)
