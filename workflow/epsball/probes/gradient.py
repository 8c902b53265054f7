"""First order of Eq. 3 at the sample: how long the gradient is, and how far from equal elements.

Section 2.1 takes equal elements of ∇ for isotropy. They make a function symmetric, to first order: the sum of the
elements of v, which no permutation changes, is all that counts. It is isotropic only if ∇ is 0.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from epsball.networks import scores
from epsball.probes.white_box_input import WhiteBoxInput
from epsball.robustness import derivatives

DERIVATIVES = "measured"  # see `epsball.probes.derivatives`
PASSES = {"sample": 5}  # see `epsball.probes.passes`


def measure(inputs: WhiteBoxInput) -> pd.DataFrame:
    """Differentiate score and margin with respect to the image, on the [0, 1] scale.

    Returns:
        One row: score, margin; gradient_score and gradient_margin, ‖∇‖: first-order anisotropy; asymmetry_score and
        asymmetry_margin, ‖∇ - mean(∇) 1‖: first-order asymmetry.
    """
    label, logits = inputs.label, inputs.clean
    margin = torch.zeros_like(logits)
    margin[label], margin[derivatives.runner_up(logits, label)] = 1, -1
    directions = torch.stack([derivatives.score_gradient(logits, label), margin])
    of_score, of_margin = derivatives.pulled_back(inputs.to_logits, inputs.pixels, directions)
    summary = scores.summarise(logits[None].numpy(), np.array([label]))
    return pd.DataFrame(
        {
            "score": scores.score(summary.log_odds),
            "margin": scores.margin(summary.logit, summary.runner_up_logit),
            "gradient_score": of_score.norm().item(),
            "gradient_margin": of_margin.norm().item(),
            "asymmetry_score": (of_score - of_score.mean()).norm().item(),
            "asymmetry_margin": (of_margin - of_margin.mean()).norm().item(),
        }
    )
