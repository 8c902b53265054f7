"""DeepFool (Moosavi-Dezfooli, Fawzi & Frossard 2016), or where it fails DDN (Rony et al. 2019), both Foolbox's, L2."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from epsball.robustness.attacks.target import Target

_STEPS = 20  # of DeepFool; where it works it takes a few
_CANDIDATES = 10  # classes that each step looks at
_DDN_STEPS = 50


class _Logits(nn.Module):
    """What Foolbox asks for: a module."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target

    def forward(self, images: Tensor) -> Tensor:
        return self.target.logits(images)


def attack(target: Target) -> Tensor:
    """See `epsball.robustness.attacks.Attack`."""
    import foolbox  # takes a second, and no other attack needs it

    # Foolbox clips to its bounds and does nothing else with them; within the reach, these are never met.
    bounds = (0.0, 1.0) if target.box else (-target.reach, 1 + target.reach)
    model = foolbox.PyTorchModel(_Logits(target).eval(), bounds=bounds, device=target.image.device)
    unit = target.flat_distance() or 1.0
    attempts: list[Any] = [
        foolbox.attacks.L2DeepFoolAttack(steps=_STEPS, candidates=_CANDIDATES),
        foolbox.attacks.DDNAttack(init_epsilon=unit, steps=_DDN_STEPS),
    ]
    point = target.image
    for attempt in attempts:
        # Where a gradient vanishes DDN takes a random one.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _, points, success = attempt(
                model, target.image[None], torch.full((1,), target.label, device=target.image.device), epsilons=None
            )
        point = points[0].detach()
        if bool(success[0]):
            break
    return point
