"""Check that a network is a fixed function of one image, without which nothing that is measured means anything."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from epsball.errors import EpsballError

Function = Callable[[Tensor], tuple[Tensor, Tensor]]

# Of the largest logit. Passes that are compared have one size, so that even half precision rounds alike in them.
_TOLERANCE = 1e-4
_SCORE_TOLERANCE = 1e-3  # between processes, whose devices may differ


@torch.inference_mode()
def require_function(network: Function, images: Tensor) -> None:
    """Check that an image has the same logits each time, among copies of itself and among others.

    Args:
        network: function from images to logits and features.
        images: (n, 3, height, width) in [0, 1].

    Raises:
        EpsballError: it has not; the message names the likely cause.
    """
    batch = torch.cat([images[:2], (1 - images[:1]) / 2])  # of other mean and variance
    first, again = network(batch)[0], network(batch)[0]
    tolerance = _TOLERANCE * (1 + float(first.abs().max()))
    if _differ(first, again) > tolerance:
        raise EpsballError(
            "the same image has different scores from pass to pass "
            f"(logits differ by up to {_differ(first, again):.2g}): {_why_changing(network, batch)}"
        )
    apart = torch.cat([network(image.expand_as(batch))[0][:1] for image in batch])
    if _differ(first, apart) > tolerance:
        raise EpsballError(
            f"the scores of an image depend on the other images of its batch (logits differ by up to "
            f"{_differ(first, apart):.2g}); a likely cause is batch normalisation by the statistics of the batch "
            "(training=True, or track_running_stats=False): use running statistics"
        )


def _differ(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max().nan_to_num(torch.inf))


def _why_changing(network: Function, batch: Tensor) -> str:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = network(batch)[0]
        torch.manual_seed(0)
        random = torch.equal(first, network(batch)[0])
    if random:
        return (
            "it draws random numbers; a likely cause is dropout that is left on, F.dropout(x) without "
            "training=self.training"
        )
    return "it changes with each pass; a likely cause is state that it keeps, or NumPy's random numbers"


def require_repeated(logits: NDArray[np.float64]) -> None:
    """Check that all images of a batch, which are one image, have the same logit.

    Raises:
        EpsballError: they have not.
    """
    if (found := float(np.ptp(logits))) > _TOLERANCE * (1 + float(np.abs(logits).max())):
        raise EpsballError(
            f"the same image has different scores in one batch (logits differ by up to {found:.2g}); a likely cause is "
            "dropout that is left on, F.dropout(x) without training=self.training"
        )


def require_surveyed(network: str, image: str, score: float, surveyed: float) -> None:
    """Check that an image has the score that it had in the survey, which another process made.

    Raises:
        EpsballError: it has another.
    """
    if abs(score - surveyed) > _SCORE_TOLERANCE:
        raise EpsballError(
            f"networks.{network}: image '{image}' has the score {score:.6g}, but {surveyed:.6g} in the survey; a "
            "likely cause are attributes that are drawn at random when the network is built: register them as buffers, "
            "so that they are kept with its weights"
        )
