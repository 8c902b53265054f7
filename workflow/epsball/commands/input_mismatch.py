"""Common mistakes that an accuracy gives away: channels reversed, another range, labels off by one or reordered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from epsball.config import Compute
from epsball.data import Pool
from epsball.errors import EpsballError
from epsball.networks.forward import Forward
from epsball.stages.survey import survey

_LEVEL = 0.001  # of both tests
_SHOWN = 10  # classes in another order, at most

_INPUTS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "with channels reversed": (
        lambda images: images.flip(1),
        "its factory seems to expect BGR, while epsball passes RGB; reverse them, x.flip(1), as its first step",
    ),
    "with values from 0 to 255": (
        lambda images: 255 * images,
        "its factory seems to expect values from 0 to 255, while epsball passes [0, 1]; multiply by 255 as its first "
        "step",
    ),
    "with channels reversed and values from 0 to 255": (
        lambda images: 255 * images.flip(1),
        "its factory seems to expect BGR from 0 to 255, while epsball passes RGB in [0, 1]; 255 * x.flip(1) as its "
        "first step gives it that",
    ),
}

_LABELS: dict[str, tuple[int, str]] = {
    "with 1 taken from each label": (
        -1,
        "the labels seem to count from 1, or the class list to have a line too many at its start; labels count from 0 "
        "in the order of the network's outputs",
    ),
    "with 1 added to each label": (
        1,
        "the network's outputs seem to start with a class that the labels leave out, such as a background; labels "
        "count from 0 in the order of the network's outputs",
    ),
}


class _Reading(nn.Module):
    """A network that is given its images in another way."""

    def __init__(self, network: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.change = network, change

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = self.network(self.change(images))
        return logits, features


def hint(name: str, network: nn.Module, compute: Compute, pool: Pool, table: pd.DataFrame, outputs: int) -> str:
    """What a network seems to take for another thing than it is given.

    A reading is likely where more images are right in it than can be chance (exact McNemar test over the images,
    p < 0.001), and more than of predictions that know nothing of the label (binomial test, p < 0.001): a network that
    gives one class to everything can be right more often with other labels, too. Forty images show a quarter of them
    lost; a network of ImageNet that sees BGR may lose a tenth only, which takes two hundred.

    Args:
        name: of the network.
        network: from images to logits and features.
        compute: how to pass images.
        pool: of the images, labelled.
        table: their survey.
        outputs: of the network.

    Returns:
        One sentence; empty where no reading is likely.
    """
    labels, prediction = table["label"].to_numpy(), table["prediction"].to_numpy()
    given = prediction == labels
    if 0.5 ** (~given).sum() >= _LEVEL:
        return ""  # too few are wrong for any reading to be likely
    best, sentence = 0.0, ""
    for what, guess, truth, told in _readings(network, compute, pool, labels, prediction, outputs):
        right = guess == truth
        if right.mean() > best and _likely(given, right, guess, truth):
            best = float(right.mean())
            sentence = f"{name}: {given.mean():.0%} right, but {best:.0%} {what}: {told}."
    return sentence


def _readings(
    network: nn.Module,
    compute: Compute,
    pool: Pool,
    labels: NDArray[np.int64],
    prediction: NDArray[np.int64],
    outputs: int,
) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64], str]]:
    """What is read otherwise, predictions and labels in that reading, and what to do."""
    for what, (shift, told) in _LABELS.items():
        if labels.min() + shift >= 0 and labels.max() + shift < outputs:  # else there is no such output
            yield what, prediction, labels + shift, told
    for what, (change, told) in _INPUTS.items():
        try:
            table = survey(Forward(_Reading(network, change), compute), pool, compute.batch, what)
        except EpsballError:
            continue  # it refuses such images, so it does not expect them
        yield what, table["prediction"].to_numpy(), labels, told
    yield _reordered(labels, prediction, outputs)


def _reordered(
    labels: NDArray[np.int64], prediction: NDArray[np.int64], outputs: int
) -> tuple[str, NDArray[np.int64], NDArray[np.int64], str]:
    """The reading that outputs are in another order than labels: each half of the images in the other half's order."""
    half = np.arange(len(labels)) % 2
    truth = labels.copy()
    for one in (0, 1):
        truth[half == one] = _order(labels[half != one], prediction[half != one], outputs)[labels[half == one]]
    order = _order(labels, prediction, outputs)
    moved = [label for label in np.unique(labels) if order[label] != label][:_SHOWN]
    told = (
        "the labels seem to be in another order than the network's outputs: what they call "
        f"{', '.join(map(str, moved))} are outputs {', '.join(str(order[label]) for label in moved)}; list or number "
        "the classes in the order of the outputs"
    )
    return "with the classes in another order", prediction, truth, told


def _order(labels: NDArray[np.int64], prediction: NDArray[np.int64], outputs: int) -> NDArray[np.int64]:
    """The output of each label that makes most images right, each output for one label; where none speaks, the same."""
    counts = np.eye(outputs) / 2
    np.add.at(counts, (labels, prediction), 1)
    order: NDArray[np.int64] = linear_sum_assignment(counts, maximize=True)[1]
    return order


def _likely(
    given: NDArray[np.bool_], right: NDArray[np.bool_], guess: NDArray[np.int64], truth: NDArray[np.int64]
) -> bool:
    gained, lost = int((right & ~given).sum()), int((given & ~right).sum())
    if not gained:
        return False
    classes = np.union1d(guess, truth)
    blind = sum(float((guess == label).mean() * (truth == label).mean()) for label in classes)
    tests = (
        stats.binomtest(gained, gained + lost, 0.5, alternative="greater"),
        stats.binomtest(int(right.sum()), len(right), blind, alternative="greater"),
    )
    return all(test.pvalue < _LEVEL for test in tests)
