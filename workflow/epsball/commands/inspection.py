"""Check networks and datasets before a run: wrong channels, normalisation or labels show in a minute."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from epsball.analysis import intervals
from epsball.commands import trial
from epsball.config import Config, NetworkSpec, TrainingSpec
from epsball.controls import chosen_controls
from epsball.data import Pool, missing, open_pool
from epsball.data.images import Pictures
from epsball.errors import EpsballError, did_you_mean
from epsball.networks import model
from epsball.networks.forward import Forward, configure, device, inputs
from epsball.networks.outputs import bounded_outputs
from epsball.networks.sources import fetches
from epsball.probes import chosen_probes, require
from epsball.runs.gaps import collected
from epsball.stages.select import eligible
from epsball.stages.survey import survey

_log = logging.getLogger(__name__)

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


def check(config: Config, folder: Path) -> pd.DataFrame:
    """Open every dataset, in a run's folder of datasets, build every network, and pass one image through it.

    Returns:
        One row for each network: network, dataset, images, unusable (images that will be skipped), parameters, classes,
        units, height, width.

    Raises:
        EpsballError: there are mistakes; the message has one line for each.
    """
    mistakes: list[str] = []
    pools: dict[str, tuple[Pool, int]] = {}
    rows: list[dict[str, Any]] = []
    with _noting(mistakes):
        device(config.compute.device)
    for chosen in (chosen_probes, chosen_controls):
        with _noting(mistakes):
            chosen(config)
    for spec in config.datasets.values():
        if spec.options.get("download") and missing(spec):
            continue  # a rule downloads it
        with _noting(mistakes):
            pool = open_pool(spec, folder / spec.name)
            complaints = pool.verify()
            for complaint in complaints:
                _log.warning("datasets.%s: will be skipped: %s", spec.name, complaint)
            pools[spec.name] = pool, len(complaints)
    for network in config.networks.values():
        with _noting(mistakes):
            # Published weights are downloaded and verified by a rule.
            built = model.open_network(network, pretrained=not fetches(network))
            if network.dataset in pools:
                pool, skipped = pools[network.dataset]
                rows.append(_fit(config, network, built, pool, skipped))
                if network.training:
                    training = open_pool(config.datasets[network.dataset], folder / network.dataset, "train")
                    _require_training(network, network.training, training, pool, int(rows[-1]["classes"]))
    if mistakes:
        raise EpsballError("\n".join(mistakes))
    return pd.DataFrame(rows)


def _require_training(network: NetworkSpec, spec: TrainingSpec, training: Pool, pool: Pool, classes: int) -> None:
    """Check that there is a batch of images to train on, of the size of those to survey, with labels that fit."""
    sides = [next(some.batches(1))[1].shape[2:0:-1] for some in (training, pool)]
    if sides[0] != sides[1]:
        sizes = [f"{width} × {height}" for width, height in sides]
        raise EpsballError(
            f"datasets.{network.dataset}: images to train on have {sizes[0]} pixels, and others {sizes[1]}; set resize "
            "and crop"
        )
    if round((1 - spec.validation) * len(training)) < spec.batch:
        raise EpsballError(
            f"networks.{network.name}.training: of {len(training)} images, too few are left for a batch of {spec.batch}"
        )
    try:
        model.require_labels(training.labels, classes, f"the training split of dataset '{network.dataset}' has")
    except EpsballError as error:
        raise EpsballError(f"networks.{network.name}: {error}") from None


@contextlib.contextmanager
def _noting(mistakes: list[str]) -> Iterator[None]:
    try:
        yield
    except EpsballError as error:
        mistakes.append(str(error))


def _fit(config: Config, spec: NetworkSpec, network: model.Network, pool: Pool, unusable: int) -> dict[str, Any]:
    picture = next(pool.batches(1))[1][0]
    try:
        classes, units = model.probe_shape(network, inputs(picture))
        if pool.classes is not None and pool.classes != classes:
            raise EpsballError(
                f"has {classes} outputs, but the class list of dataset '{spec.dataset}' has {pool.classes} entries; "
                "list one class an output"
            )
        model.require_labels(pool.labels, classes, f"dataset '{spec.dataset}' has")
        folders = int(pool.labels.max()) + 1
        if config.datasets[spec.dataset].kind == "imagefolder" and pool.classes is None and folders < classes:
            _log.warning(
                "networks.%s has %d outputs, and dataset '%s' %d folders and no list of classes: they are taken "
                "for the first outputs; if that is wrong, set classes",
                spec.name,
                classes,
                spec.dataset,
                folders,
            )
    except EpsballError as error:
        raise EpsballError(f"networks.{spec.name}: {error}") from None
    for name in chosen_probes(config, spec.name):
        with collected([], config.on_failure):
            require(name, network, spec.name, config.white_box)
    return {
        "network": spec.name,
        "dataset": spec.dataset,
        "images": len(pool),
        "unusable": unusable,
        "parameters": model.parameters(network),
        "classes": classes,
        "units": units,
        "height": picture.shape[0],
        "width": picture.shape[1],
    }


def inspect(config: Config, images: int) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    """Pass so many images of its dataset through each network, with its weights; one that the run has trained is used.

    Each extra probe and control is tried on the first of them.

    Returns:
        The table that `epsball check` prints; what may be wrong with a network, with what to do, by its name; and a
        sentence for each probe and control that cannot be measured.
    """
    if images < 1:
        raise EpsballError(f"--images is {images}; it must be at least 1")
    check(config, config.folder / "datasets")
    configure(config.compute)
    found = {name: _inspect(config, spec, images) for name, spec in config.networks.items()}
    hints = {name: hint for name, (_, hint, _) in found.items() if hint}
    refusals = [sentence for _, _, refused in found.values() for sentence in refused]
    return pd.DataFrame([row for row, _, _ in found.values()]), hints, refusals


def _inspect(config: Config, spec: NetworkSpec, images: int) -> tuple[dict[str, object], str, list[str]]:
    dataset, compute = config.datasets[spec.dataset], config.compute
    whole = _pool(config, spec)
    pool = whole.spread(images)
    # What a run has kept of a network that it does not train may be of another configuration than this.
    kept = config.folder / "networks" / spec.name / "weights.safetensors"
    restored = spec.training is not None and kept.is_file()
    trained = spec.training is None or restored
    network = model.restore(spec, kept) if restored else model.open_network(spec)
    passes = Forward(network, compute)
    table = survey(passes, pool, compute.batch, spec.name)
    some = inputs(next(pool.batches(compute.batch))[1])
    start = time.perf_counter()
    logits, features = passes(some)  # which are filled up to a batch
    rate = compute.batch / (time.perf_counter() - start) / compute.threads
    passes.float64(some[:1])  # which a run will do
    refused = trial.refused(config, spec, network, pool)
    accuracy = float((table["prediction"] == table["label"]).mean())
    sure = intervals.share(eligible(table, dataset.threshold))
    row = {
        "network": spec.name,
        "dataset": dataset.name,
        "images": len(pool),
        "parameters": model.parameters(network),
        "features": network.features_from,
        "units": features.shape[1],
        "classes": logits.shape[1],
        "images/s": round(rate, 1),
        "accuracy": f"{accuracy:.0%}" if trained else "not trained yet",
        "sure": f"{sure.value:.0%} above {dataset.threshold}" if trained else "",
    }
    expected, low, high = (round(part * len(whole)) for part in sure)
    hint = ""
    if trained and (other := _find_mismatch(passes, pool, table, logits.shape[1])) is not None:
        hint = f"{accuracy:.0%} right, but {other.right.mean():.0%} {other.assumption}: {other.advice}."
    elif trained and (said := bounded_outputs(logits)):
        raise EpsballError(f"networks.{spec.name}: {said}")
    elif torch.equal(logits, features):
        hint = (
            f"the output of layer '{spec.layer}' is the logits; what enters the classification layer is the "
            "output of the one before it, or, with `layer` left out, the input of the classification layer."
        )
    elif trained and expected < dataset.samples:
        hint = (
            f"{round(sure.value * len(table))} of {len(table)} images are right with a score above "
            f"{dataset.threshold}, so of {len(whole)} about {expected} may be ({low} to {high} at 95%); "
            f"{dataset.samples} samples are asked for. If {accuracy:.0%} right is less than you know of the network, "
            "check normalisation and class list. If not, lower `threshold`, give more images, or do with fewer samples."
        )
    return row, hint, refused


def layers(config: Config, name: str) -> pd.DataFrame:
    """List the layers of a network in the order in which an image passes them.

    Returns:
        A row for each module that gives a tensor: layer (its name, for the configuration), module (its type), shape
        (of its output for one image), units.
    """
    if name not in config.networks:
        hint = did_you_mean(name, config.networks)
        raise EpsballError(f"--layers is '{name}', no network of the configuration; {hint}")
    spec = config.networks[name]
    image = _first_image(_pool(config, spec))
    network = model.build(spec, pretrained=False)
    rows: list[dict[str, object]] = []
    names = {part: name for name, part in network.named_modules() if name}

    def keep(part: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor):
            shape = " × ".join(map(str, output.shape[1:]))
            kind = type(part).__name__
            rows.append({"layer": names[part], "module": kind, "shape": shape, "units": output[0].numel()})

    for part in names:
        part.register_forward_hook(keep)
    with torch.inference_mode():
        network(image)
    return pd.DataFrame(rows)


def _pool(config: Config, spec: NetworkSpec) -> Pool:
    return open_pool(config.datasets[spec.dataset], config.folder / "datasets" / spec.dataset)


def _first_image(pool: Pool) -> Tensor:
    return inputs(next(pool.batches(1))[1])


@dataclass(frozen=True)
class _Interpretation:
    """A way to interpret images or labels, and what the network predicts in it."""

    assumption: str  # what is interpreted differently
    advice: str  # what to do if this interpretation is the right one
    prediction: NDArray[np.int64]  # (image,)
    label: NDArray[np.int64]  # (image,)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the network is right about each image, (image,)."""
        return np.asarray(self.prediction == self.label, dtype=bool)


def _find_mismatch(passes: Forward, pool: Pool, table: pd.DataFrame, outputs: int) -> _Interpretation | None:
    """Find the images or labels that a network seems to expect, with most of them right; None if those it is given.

    An interpretation is likely if more images are right under it than chance explains (exact McNemar test over the
    images, p < 0.001), and more than predictions that know nothing of the label would get right (binomial test,
    p < 0.001): a network that gives one class to everything can be right more often with other labels, too.
    Forty images show it if a quarter of them is lost; an ImageNet network that sees BGR may lose only a tenth, which
    takes two hundred images.
    """
    given = _Interpretation("as given", "", table["prediction"].to_numpy(), table["label"].to_numpy())
    if 0.5 ** (~given.right).sum() >= _LEVEL:
        return None  # too few are wrong for any other interpretation to be likely
    likely = [one for one in _interpretations(passes, pool, given, outputs) if _is_likely(one, given)]
    return max(likely, key=lambda one: one.right.mean(), default=None)


def _interpretations(passes: Forward, pool: Pool, given: _Interpretation, outputs: int) -> Iterator[_Interpretation]:
    for assumption, (shift, cause) in _LABELS.items():
        label = given.label + shift
        advice = f"{cause}; labels count from 0 in the order of the network's outputs"
        if label.min() >= 0 and label.max() < outputs:
            yield _Interpretation(assumption, advice, given.prediction, label)
    for assumption, (reverse, factor, advice) in _INPUTS.items():
        changed = replace(pool, read=functools.partial(_read_changed, pool, reverse, factor))
        try:
            table = survey(passes, changed, passes.size, assumption)
        except EpsballError:
            continue  # it refuses such images, so it does not expect them
        yield _Interpretation(assumption, advice, table["prediction"].to_numpy(), given.label)
    yield _reordered(given, outputs)


def _read_changed(pool: Pool, reverse: bool, factor: int, number: int) -> Pictures:
    image = factor * inputs(pool.read(number))
    return (image.flip(0) if reverse else image).movedim(0, -1).numpy()


def _is_likely(other: _Interpretation, given: _Interpretation) -> bool:
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


def _reordered(given: _Interpretation, outputs: int) -> _Interpretation:
    """Read outputs in another order than labels: each half of the images in the order that the other half shows."""
    label, half = given.label.copy(), np.arange(len(given.label)) % 2
    for one in (0, 1):
        label[half == one] = _order(given, half != one, outputs)[label[half == one]]
    order = _order(given, half >= 0, outputs)
    moved = [name for name in np.unique(given.label) if order[name] != name][:_SHOWN]
    advice = (
        "the labels seem to be in another order than the network's outputs: what they call "
        f"{', '.join(map(str, moved))} are outputs {', '.join(str(order[name]) for name in moved)}; list or number "
        "the classes in the order of the outputs"
    )
    return _Interpretation("with the classes in another order", advice, given.prediction, label)


def _order(given: _Interpretation, taken: NDArray[np.bool_], outputs: int) -> NDArray[np.int64]:
    """Match each label to one output so that most images taken are right; one without evidence keeps its number."""
    from scipy.optimize import linear_sum_assignment  # as above

    counts = np.eye(outputs) / 2
    np.add.at(counts, (given.label[taken], given.prediction[taken]), 1)
    order: NDArray[np.int64] = linear_sum_assignment(counts, maximize=True)[1]
    return order
