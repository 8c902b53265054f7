"""Fast gradient sign: one direction, all elements moved alike (Goodfellow, Shlens & Szegedy 2015).

x + ε sign(∇ J), J the cross-entropy of the right class; here with the smallest ε that a line search finds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from epsball.robustness.attacks.target import Target
from epsball.robustness.boundary import crossings

_STEPS = 20  # of the line search, up to the search limit: a factor of 1.44 each


def attack(target: Target) -> Tensor:
    """Return a candidate, see `epsball.robustness.attacks`."""
    label = torch.tensor(target.label)
    gradient, _ = target.gradient(target.image, lambda logits: cross_entropy(logits, label))
    signs = gradient.sign()
    length = float(torch.linalg.vector_norm(signs))
    if length == 0:
        return target.image
    scan = np.geomspace(target.search_limit / 1000, target.search_limit, _STEPS).tolist()
    (found,) = crossings(target.plain, target.image, target.label, [signs / length], [scan], box=target.box)
    return target.image if found.image is None else found.image
