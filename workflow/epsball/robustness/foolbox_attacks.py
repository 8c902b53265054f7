"""Attacks of Foolbox, in L2, on a target of ours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from epsball.robustness.attacks import Target
from epsball.robustness.differentiation import differentiating

# Foolbox is imported where it is used: it takes a second.

_DEEPFOOL_STEPS = 20  # where it works it takes a few
_DEEPFOOL_CANDIDATES = 10  # classes that each step of DeepFool looks at
_DDN_STEPS = 100


def deepfool(target: Target) -> Tensor:
    """Run DeepFool (Moosavi-Dezfooli et al. 2016)."""
    import foolbox

    return _run(target, foolbox.attacks.L2DeepFoolAttack(steps=_DEEPFOOL_STEPS, candidates=_DEEPFOOL_CANDIDATES))


def ddn(target: Target) -> Tensor:
    """Run DDN, which decouples direction and norm (Rony et al. 2019); without a gradient, it goes anywhere."""
    import foolbox

    unit = target.hyperplane_distance() or 1.0
    return _run(target, foolbox.attacks.DDNAttack(init_epsilon=unit, steps=_DDN_STEPS))


def _run(target: Target, attack: Any) -> Tensor:
    import foolbox

    # Foolbox clips to its bounds and does nothing else with them; within the search limit, these are never met.
    bounds = (0.0, 1.0) if target.box else (-target.search_limit, 1 + target.search_limit)
    module = nn.Module().eval()  # which Foolbox asks for
    module.forward = target.logits
    model = foolbox.PyTorchModel(module, bounds=bounds, device=target.image.device)
    label = torch.full((1,), target.label, device=target.image.device)
    with differentiating(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, points, _ = attack(model, target.image[None], label, epsilons=None)
    point: Tensor = points[0].detach()
    return point
