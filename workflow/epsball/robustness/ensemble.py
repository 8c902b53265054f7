"""The attacks that there are, by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from epsball.robustness.attacks import Target, aghdam, brendel_bethge, fgsm, lbfgs
from epsball.robustness.foolbox_attacks import ddn, deepfool

# Not imported by name, unlike other registries: the smallest distance is of all that were asked for.
ATTACKS: dict[str, Callable[[Target], Tensor]] = {
    "fgsm": fgsm,
    "lbfgs": lbfgs,
    "deepfool": deepfool,
    "aghdam": aghdam,
    "ddn": ddn,
}

#: Attacks that go on from the nearest misclassified image that others have found.
REFINEMENTS: dict[str, Callable[[Target, Tensor], Tensor]] = {"brendel_bethge": brendel_bethge}
