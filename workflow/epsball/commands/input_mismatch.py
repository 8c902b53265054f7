"""Common mistakes that the accuracy reveals: channels reversed, another range, labels off by one or reordered."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from epsball.data import Pool
from epsball.data.images import Pictures
from epsball.errors import EpsballError
from epsball.networks.forward import Forward, inputs
from epsball.reporting.class_names import called
from epsball.stages.survey import survey

_LEVEL = 0.001  # significance level of both tests
_SHOWN = 10  # most classes in another order that are listed

# Whether channels are reversed, a factor of the values, and what to do if the network expects that.
_INPUTS = {
    "with channels reversed": (
        True,
        1,
        "its factory seems to expect BGR, while epsball passes RGB; reverse them, x.flip(1), as its first step",
    ),
    "with values from 0 to 255": (
        False,
        255,
        "its factory seems to expect values from 0 to 255, while epsball passes [0, 1]; multiply by 255 as its first "
        "step",
    ),
    "with channels reversed and values from 0 to 255": (
        True,
        255,
        "its factory seems to expect BGR from 0 to 255, while epsball passes RGB in [0, 1]; 255 * x.flip(1) as its "
        "first step gives it that",
    ),
}

_LABELS = {
    "with 1 taken from each label": (
        -1,
        "the labels seem to count from 1, or the class list to have a line too many at its start",
    ),
    "with 1 added to each label": (
        1,
        "the network's outputs seem to start with a class that the labels leave out, such as a background",
    ),
}


@dataclass(frozen=True)
class Interpretation:
    """A way to interpret images or labels, and what the network predicts in it."""

    assumption: str  # what is interpreted differently
    advice: str  # what to do if this interpretation is the right one
    prediction: NDArray[np.int64]  # (image,)
    label: NDArray[np.int64]  # (image,)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the network is right about each image, (image,)."""
        return np.asarray(self.prediction == self.label, dtype=bool)


def find_mismatch(passes: Forward, pool: Pool, table: pd.DataFrame, outputs: int) -> Interpretation | None:
    """Find the images or labels that a network seems to expect, with most of them right; None if those it is given.

    An interpretation is likely if more images are right under it than chance explains (exact McNemar test over the
    images, p < 0.001), and more than predictions that know nothing of the label would get right (binomial test,
    p < 0.001): a network that gives one class to everything can be right more often with other labels, too.
    Forty images show it if a quarter of them is lost; an ImageNet network that sees BGR may lose only a tenth, which
    takes two hundred images.
    """
    given = Interpretation("as given", "", table["prediction"].to_numpy(), table["label"].to_numpy())
    if 0.5 ** (~given.right).sum() >= _LEVEL:
        return None  # too few are wrong for any other interpretation to be likely
    likely = [one for one in _interpretations(passes, pool, given, outputs) if _is_likely(one, given)]
    return max(likely, key=lambda one: one.right.mean(), default=None)


def _interpretations(passes: Forward, pool: Pool, given: Interpretation, outputs: int) -> Iterator[Interpretation]:
    for assumption, (shift, cause) in _LABELS.items():
        label = given.label + shift
        advice = f"{cause}; labels count from 0 in the order of the network's outputs"
        if label.min() >= 0 and label.max() < outputs:
            yield Interpretation(assumption, advice, given.prediction, label)
    for assumption, (reverse, factor, advice) in _INPUTS.items():
        changed = replace(pool, read=functools.partial(_read_changed, pool, reverse, factor))
        try:
            table = survey(passes, changed, passes.size, assumption).images
        except EpsballError:
            continue  # it refuses such images, so it does not expect them
        yield Interpretation(assumption, advice, table["prediction"].to_numpy(), given.label)
    yield _reordered(given, outputs, pool.class_names or ())


def _read_changed(pool: Pool, reverse: bool, factor: int, number: int) -> Pictures:
    image = factor * inputs(pool.read(number))
    return (image.flip(0) if reverse else image).movedim(0, -1).numpy()


def _is_likely(other: Interpretation, given: Interpretation) -> bool:
    from scipy import stats  # takes long to import, and a run that starts does without

    right = other.right
    gained, lost = int((right & ~given.right).sum()), int((given.right & ~right).sum())
    if not gained:
        return False
    classes = np.union1d(other.prediction, other.label)
    blind = sum(float((other.prediction == name).mean() * (other.label == name).mean()) for name in classes)
    tests = (
        stats.binomtest(gained, gained + lost, 0.5, alternative="greater"),
        stats.binomtest(int(right.sum()), len(right), blind, alternative="greater"),
    )
    return all(test.pvalue < _LEVEL for test in tests)


def _reordered(given: Interpretation, outputs: int, names: Sequence[str]) -> Interpretation:
    """Read outputs in another order than labels: each half of the images in the order that the other half shows."""
    label, half = given.label.copy(), np.arange(len(given.label)) % 2
    for one in (0, 1):
        label[half == one] = _order(given, half != one, outputs)[label[half == one]]
    order = _order(given, half >= 0, outputs)
    moved = [label for label in np.unique(given.label).tolist() if order[label] != label][:_SHOWN]
    advice = (
        "the labels seem to be in another order than the network's outputs: what they call "
        f"{', '.join(called(label, names) for label in moved)} are outputs "
        f"{', '.join(str(order[label]) for label in moved)}; list or number the classes in the order of the outputs"
    )
    return Interpretation("with the classes in another order", advice, given.prediction, label)


def _order(given: Interpretation, taken: NDArray[np.bool_], outputs: int) -> NDArray[np.int64]:
    """Match each label to one output so that most images taken are right; one without evidence keeps its number."""
    from scipy.optimize import linear_sum_assignment  # as above

    counts = np.eye(outputs) / 2
    np.add.at(counts, (given.label[taken], given.prediction[taken]), 1)
    order: NDArray[np.int64] = linear_sum_assignment(counts, maximize=True)[1]
    return order
