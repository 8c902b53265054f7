"""A probe on a model and an array, without Snakemake: the workflow's own stages, one sample at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from epsball import probes
from epsball.config import Config, Noise, Norm, load_config
from epsball.data import Pool, arrays, images
from epsball.data.images import Pictures
from epsball.errors import EpsballError, did_you_mean
from epsball.networks import forward, process
from epsball.networks.adopt import adopt, copy_module
from epsball.networks.model import Network, probe_shape, require_labels
from epsball.perturbations import families
from epsball.probes import Context
from epsball.probes.normalisers import scales
from epsball.stages.extract import extract
from epsball.stages.measure import measure as measure_shard
from epsball.stages.measure_white_box import measure_white_box
from epsball.stages.perturb import perturb
from epsball.stages.select import identify
from epsball.stages.survey import survey

_NAME = "model"


def measure(
    model: nn.Module,
    images: ArrayLike | Tensor,
    labels: ArrayLike | Tensor,
    probe: str = "isotropy",
    *,
    layer: str | None = None,
    radii: Sequence[float] | None = None,
    epsilon: float | None = None,
    draws: int | None = None,
    norm: Norm | None = None,
    noise: Noise | None = None,
    clip: bool | None = None,
    seed: int | None = None,
    batch: int | None = None,
    float64_draws: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    mantel_permutations: int | None = None,
    white_box: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Measure a probe on images. The numbers equal the workflow's for the same images, model and settings.

    Settings that are left out have the configuration's defaults, which are the paper's: radii 1 to 20 with 100 draws
    each, about 2,000 passes per image. Fewer `radii` and `draws` are quicker.

    Args:
        model: model from RGB batches, float32 (n, 3, height, width) in [0, 1], to logits (n, classes), which includes
            its own normalisation. A copy of it is used, in eval mode.
        images: uint8 (n, height, width, 3), or floats (n, 3, height, width) in [0, 1]. Each should be an image that the
            model classifies well, as none are left out. They are also the pool for g and h of Eq. 9.
        labels: integers (n,), the correct outputs of the model.
        probe: name of a probe in `epsball.probes.PROBES`.
        layer: name in `named_modules()` of the module whose output is the features; by default the features are the
            input of the classification layer.
        radii: radii beyond epsilon, rising; radius 0, a check, and epsilon are added.
        epsilon: the small radius.
        draws: number of perturbations for each image and radius.
        norm: norm that the radius measures: l2 on the [0, 1] scale, or linf in 8-bit levels.
        noise: distribution of the elements: uniform, sphere or gaussian.
        clip: whether perturbed images are clipped to [0, 1].
        seed: seed of the study; an image's own seed is a hash of it and the pixels.
        batch: number of images in a pass, which is filled up if there are fewer draws; another number can change float
            rounding.
        float64_draws: number of draws for each image and radius that are computed again in float64, for the noise
            floor.
        threads: number of CPU threads; PyTorch's own by default. Another number can change float rounding.
        device: auto, cpu, cuda or mps.
        mantel_permutations: number of permutations of the Mantel test.
        white_box: settings of white-box probes, the configuration's keys of that name; in `layers` the model is called
            "model".

    Returns:
        Column image, the index in `images`; then the probe's own columns: see ``measure`` in the module of
        `epsball.probes` that has its name.

    Raises:
        EpsballError: an argument does not fit; the message is one sentence.
    """
    if probe not in probes.PROBES:
        raise EpsballError(f"'{probe}' is no probe; {did_you_mean(probe, probes.PROBES)}")
    given: dict[str, Any] = {
        "radii": None if radii is None else [float(radius) for radius in radii],
        "epsilon": epsilon,
        "draws": draws,
        "norm": norm,
        "noise": noise,
        "clip": clip,
        "seed": seed,
        "batch": batch,
        "float64_draws": float64_draws,
        "threads": torch.get_num_threads() if threads is None else threads,
        "device": device,
        "mantel_permutations": mantel_permutations,
        "white_box": white_box,
    }
    # A dataset and a network that stand for the arguments.
    given |= {"datasets": {"images": {"kind": "arrays", "root": ""}}}
    given |= {"networks": {_NAME: {"dataset": "images", "factory": "given:model"}}}
    try:
        config = load_config({key: value for key, value in given.items() if value is not None})
    except EpsballError as error:
        raise EpsballError(str(error).replace("configuration: ", "")) from None
    pictures = _pictures(images)
    count = len(pictures)
    pool = Pool(arrays.names(count), arrays.integers(_array(labels), count, "labels"), pictures.__getitem__)
    network = _network(model, layer, pool)
    samples = _samples(pool, config.seed)
    with process.configured(config.compute.threads):
        table = _measured(probe, network, samples, pool, config)
    table.insert(0, "image", pd.Index(samples["sample"]).get_indexer(table["sample"]))
    return table


def _pictures(given: ArrayLike | Tensor) -> Pictures:
    """Return images as a pool has them: uint8 if all values are 8-bit levels, so that their seeds are the same."""
    array = _array(given)
    if array.ndim == 4 and not len(array):
        raise EpsballError("images are empty; give at least one")
    if array.dtype == np.uint8 and array.ndim == 4 and array.shape[3] == 3:
        return array
    if array.dtype.kind != "f" or array.ndim != 4 or array.shape[1] != 3:
        raise EpsballError(
            f"images are {array.dtype} {array.shape}; expected uint8 (n, height, width, 3), or floats (n, 3, height, "
            "width) in [0, 1], RGB"
        )
    bad = ~np.isfinite(array).all(axis=(1, 2, 3))
    if bad.any():
        raise EpsballError(f"image {bad.argmax()} has values that are not finite; leave it out or mend it")
    if array.min() < 0 or array.max() > 1:
        raise EpsballError(
            f"images have values from {array.min():g} to {array.max():g}; expected [0, 1], the model's normalisation "
            "being its first step"
        )
    floats = np.ascontiguousarray(np.moveaxis(array, 1, 3), np.float32)
    levels = np.rint(floats * 255).astype(np.uint8)
    return levels if np.array_equal(levels / np.float32(255), floats) else floats


def _array(given: ArrayLike | Tensor) -> NDArray[Any]:
    return given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)


def _network(model: nn.Module, layer: str | None, pool: Pool) -> Network:
    """Return the model with its features, after a check that the images and labels fit it."""
    if not isinstance(model, nn.Module):
        raise EpsballError(f"model is of type {type(model).__name__}; expected a torch.nn.Module")
    network = Network(adopt(copy_module(model)), layer)
    first = forward.inputs(pool.read(0))
    try:
        classes, _ = probe_shape(network.cpu(), first)
        require_labels(pool.labels, classes, "there are")
    except EpsballError as error:
        raise EpsballError(f"the model {error}") from None
    return network


def _samples(pool: Pool, seed: int) -> pd.DataFrame:
    """Return the sample table of all images, in their order."""
    digests = pd.Series([images.digest(pool.read(number)) for number in range(len(pool))])
    if (again := digests.duplicated()).any():
        later = int(again.to_numpy().argmax())
        earlier = digests.tolist().index(digests[later])
        raise EpsballError(f"images {earlier} and {later} are equal; give each once")
    return identify(pd.DataFrame({"image": pool.names, "label": pool.labels, "digest": digests}), seed)


def _measured(probe: str, network: Network, samples: pd.DataFrame, pool: Pool, config: Config) -> pd.DataFrame:
    passes = forward.Forward(network, config.compute, exclusive=False)
    scale_g, scale_h = scales(survey(passes, pool, config.compute.batch, _NAME))
    if probes.is_white_box(probe):
        probes.require(probe, network, _NAME, config.white_box)
        scale, ball = scale_g / scale_h, config.ball
        return measure_white_box(probe, network, _NAME, passes, samples, pool, ball, config.white_box, scale)
    context = Context(scale_g, scale_h, config.mantel_permutations)
    family = probes.family_of(probe)
    ball, parts = families.ball(config.ball, family), []
    for place in range(len(samples)):
        row = samples.iloc[[place]]
        # One sample at a time: the stores of many could be large.
        with tempfile.TemporaryDirectory(prefix="epsball-") as folder:
            drawn, passed = Path(folder, "perturbations.zarr.zip"), Path(folder, "activations.zarr.zip")
            perturb(family, row, pool, ball, drawn, {})
            extract(family, passes, row, pool, ball, config.compute, passed, {"network": _NAME})
            parts.append(measure_shard(probe, row, passed, drawn, ball, context))
    return pd.concat(parts, ignore_index=True)
