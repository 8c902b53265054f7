"""DeepFool (Moosavi-Dezfooli, Fawzi & Frossard 2016), or where it fails DDN (Rony et al. 2019), both Foolbox's, L2."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from epsball.robustness.attacks.target import Target
from epsball.robustness.differentiation import differentiating

_STEPS = 20  # DeepFool's; where it works it takes a few
_CANDIDATES = 10  # classes that each step of DeepFool looks at
_DDN_STEPS = 50


class _Logits(nn.Module):
    """The target's logits as the module that Foolbox asks for."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target

    def forward(self, images: Tensor) -> Tensor:
        return self.target.logits(images)


def attack(target: Target) -> Tensor:
    """Return a candidate, see `epsball.robustness.attacks`."""
    import foolbox  # takes a second, and no other attack needs it

    # Foolbox clips to its bounds and does nothing else with them; within the search limit, these are never met.
    bounds = (0.0, 1.0) if target.box else (-target.search_limit, 1 + target.search_limit)
    model = foolbox.PyTorchModel(_Logits(target).eval(), bounds=bounds, device=target.image.device)
    label = torch.full((1,), target.label, device=target.image.device)
    ddn = foolbox.attacks.DDNAttack(init_epsilon=target.hyperplane_distance() or 1.0, steps=_DDN_STEPS)
    point = target.image
    for method in (foolbox.attacks.L2DeepFoolAttack(steps=_STEPS, candidates=_CANDIDATES), ddn):
        with differentiating(), torch.random.fork_rng(devices=[]):  # where a gradient vanishes DDN takes a random one
            torch.manual_seed(0)
            _, points, success = method(model, target.image[None], label, epsilons=None)
        point = points[0].detach()
        if bool(success[0]):
            break
    return point
