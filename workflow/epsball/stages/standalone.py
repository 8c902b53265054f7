"""Probes on a model and images, without Snakemake: the workflow's own stages, one sample at a time."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm  # type: ignore[import-untyped]

from epsball import controls as registered
from epsball import probes, torch_defaults
from epsball.config import Config, Noise, Norm, load_config
from epsball.controls import name_of
from epsball.data import Pool, images
from epsball.errors import EpsballError, did_you_mean
from epsball.networks import forward, process
from epsball.networks.adopt import adopt
from epsball.networks.copying import copy_module, require_own
from epsball.networks.model import Network, probe_shape, require_labels
from epsball.perturbations import families
from epsball.probes import Context
from epsball.probes.normalisers import Scales, scales
from epsball.runs.gaps import explained
from epsball.stages import measure_input
from epsball.stages.extract import extract
from epsball.stages.measure import measure as measure_shard
from epsball.stages.measure_controls import measure_control
from epsball.stages.measure_white_box import measure_white_box
from epsball.stages.perturb import perturb
from epsball.stages.select import identify
from epsball.stages.survey import require_usable, survey

_NAME = "model"

Data = ArrayLike | Tensor | Sequence[Any] | DataLoader[Any] | Dataset[Any]


def measure(
    model: nn.Module,
    data: Data,
    labels: ArrayLike | Tensor | None = None,
    probe: str | Sequence[str] = "isotropy",
    *,
    controls: Sequence[str] | None = None,
    progress: bool = False,
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
) -> Any:  # a table, or a dictionary of them
    """Measure probes on images, all from one set of passes.

    The numbers equal the workflow's for the same images, model and settings.

    Settings that are left out have the configuration's defaults, which are the paper's: radii 1 to 20 with 100 draws
    each, about 2,000 passes per image. Fewer `radii` and `draws` are quicker.

    Args:
        model: model from RGB batches, float32 (n, 3, height, width) in [0, 1], to logits (n, classes), which includes
            its own normalisation. A copy of it is used, in eval mode.
        data: uint8 (n, height, width, 3), or floats (n, 3, height, width) in [0, 1], as an array, a tensor or a list
            of images; or a list of pairs of such images and their labels, or a PyTorch Dataset or DataLoader that gives
            images or pairs, and is read whole, in its order. Each should be an image that the model classifies well, as
            none are left out. They are also the pool for g and h of Eq. 9.
        labels: integers (n,), the correct outputs of the model; left out where `data` gives them.
        probe: name of a probe in `epsball.probes.PROBES`, or a list of names.
        controls: names of controls in `epsball.controls.CONTROLS`, to be made from the model and measured by those of
            the probes that can.
        progress: whether a bar shows how many images are done.
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
        float64_draws: number of passes in float64 for each image and family, for the noise floor: of the image itself,
            and of one draw at each of some radii.
        threads: number of CPU threads; PyTorch's own by default. Another number can change float rounding.
        device: auto, cpu, cuda or mps.
        mantel_permutations: number of permutations of the Mantel test.
        white_box: settings of white-box probes, the configuration's keys of that name; in `layers` the model is called
            "model".

    Returns:
        For the name of a probe a table: column image, the index in `data`; then the probe's own columns: see
        ``measure`` in the module of `epsball.probes` that has its name. For a list of probes, or with controls, a
        dictionary of such tables: each probe's by its name, that of a control by ``<probe>~<control>``.

    Raises:
        EpsballError: an argument does not fit, or the model cannot be measured; the message is one sentence.
    """
    settings = {
        "radii": radii,
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
    single = isinstance(probe, str) and controls is None
    with _in_own_words():
        asked = _names(probe, "probe", probes.PROBES)
        beside = _names(controls or (), "control", registered.CONTROLS)
        config = _settings({key: measure_input.plain(value) for key, value in settings.items() if value is not None})
        pool = measure_input.read_pool(data, labels)
        with _undisturbed(), process.configured(config.compute.threads):
            network = _network(model, layer, pool, config.compute.batch)
            samples = _samples(pool, config.seed)
            with tqdm(total=len(samples), unit="image", disable=not progress) as bar:
                tables = tables_of(network, _NAME, samples, pool, config, asked, beside, bar.update)
    for table in tables.values():
        table.insert(0, "image", pd.Index(samples["sample"]).get_indexer(table["sample"]))
    return tables[asked[0]] if single else tables


@contextlib.contextmanager
def _in_own_words() -> Iterator[None]:
    """Leave out of a mistake what is of a configuration file, which there is none of."""
    try:
        yield
    except EpsballError as error:
        said = str(error).replace("configuration: ", "").replace(f"networks.{_NAME}: ", "the model: ")
        raise EpsballError(said.replace("\n", "; ")) from error.__cause__


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Compute as if the caller were in none of PyTorch's modes, such as autocast, and had not set its defaults."""
    with torch_defaults.usual(), contextlib.ExitStack() as modes:
        for mode in (torch.inference_mode(False), torch.enable_grad()):
            modes.enter_context(mode)
        for kind in ("cpu", "cuda"):
            modes.enter_context(torch.autocast(kind, enabled=False))
        yield


def _names(given: str | Sequence[str], what: str, known: Mapping[str, object]) -> list[str]:
    names = [given] if isinstance(given, str) else list(given)
    for name in names:
        if name not in known:
            raise EpsballError(f"'{name}' is no {what}; {did_you_mean(str(name), known)}")
    if not names and what == "probe":
        raise EpsballError("probe is empty; name at least one")
    return list(dict.fromkeys(names))


def _settings(given: Mapping[str, Any]) -> Config:
    """Return a configuration with the given settings; its dataset and network stand for the arguments."""
    standing = {"datasets": {"images": {"kind": "arrays", "root": ""}}}
    standing["networks"] = {_NAME: {"dataset": "images", "factory": "given:model"}}
    return load_config({**standing, **given})


def _network(model: nn.Module, layer: str | None, pool: Pool, batch: int) -> Network:
    """Return the model with its features, after a check that the images and labels fit it."""
    if not isinstance(model, nn.Module):
        raise EpsballError(f"model is of type {type(model).__name__}; expected a torch.nn.Module")
    network = Network(adopt(copy_module(model)), layer)
    first = forward.inputs(pool.read(0))
    try:
        require_own(model, network, lambda: network(first[None]))
        classes, _ = probe_shape(network.cpu(), first)
        require_labels(pool.labels, classes, "there are")
        require_usable(network, pool, batch)
    except EpsballError as error:
        raise EpsballError(f"the model: {error}") from None
    return network


def _samples(pool: Pool, seed: int) -> pd.DataFrame:
    """Return the sample table of all images, in their order."""
    digests = pd.Series([images.digest(pool.read(number)) for number in range(len(pool))])
    if (again := digests.duplicated()).any():
        later = int(again.to_numpy().argmax())
        earlier = digests.tolist().index(digests[later])
        raise EpsballError(f"images {earlier} and {later} are equal; give each once")
    return identify(pd.DataFrame({"image": pool.names, "label": pool.labels, "digest": digests}), seed)


def tables_of(
    network: Network,
    name: str,
    samples: pd.DataFrame,
    pool: Pool,
    config: Config,
    asked: Sequence[str],
    beside: Sequence[str] = (),
    advance: Callable[[int], object] = lambda count: None,
) -> dict[str, pd.DataFrame]:
    """Measure probes on a network and its controls, in this process and without a run's folder.

    Args:
        network: the network, which is moved to the device.
        name: its name, as in the configuration's `white_box`.
        samples: sample table.
        pool: pool that holds the images, and on which g and h of Eq. 9 are based.
        config: settings; its networks and datasets do not count.
        asked: names of the probes.
        beside: names of the controls, which those of the probes measure that can.
        advance: called after each sample.

    Returns:
        The table of each probe, by its name, and of each control, by ``<probe>~<control>``.

    Raises:
        UnavailableError: a probe or a control fails.
    """
    stored = [probe for probe in asked if not probes.is_white_box(probe)]
    made = [_Control(control, network, name, pool, config, stored) for control in beside]  # of the network as given
    passes = forward.Forward(network, config.compute, exclusive=False)
    normalisers = scales(*survey(passes, pool, config.compute.batch, name))
    context = Context(normalisers, config.mantel_permutations)
    white_box = [probe for probe in asked if probes.is_white_box(probe)]
    for probe in white_box:
        probes.require(probe, network, name, config.white_box)
    parts: dict[str, list[pd.DataFrame]] = {}
    for row in (samples.iloc[[place]] for place in range(len(samples))):
        # Stores of many samples could be large.
        with tempfile.TemporaryDirectory(prefix="epsball-") as folder:
            drawn: dict[str, Path] = {}
            for family in dict.fromkeys(map(probes.family_of, stored)):
                ball = families.ball(config.ball, family)
                drawn[family], passed = Path(folder, f"{family}.drawn.zarr.zip"), Path(folder, f"{family}.zarr.zip")
                perturb(family, row, pool, ball, drawn[family], {})
                extract(family, passes, row, pool, ball, config.compute, passed, {"network": name})
                for probe in stored:
                    if probes.family_of(probe) == family:
                        table = measure_shard(probe, row, passed, drawn[family], ball, context)
                        parts.setdefault(probe, []).append(table)
                passed.unlink()
            for control in made:
                for key, table in control.measure(row, pool, drawn, config, context).items():
                    parts.setdefault(key, []).append(table)
        scale = normalisers.g / normalisers.h
        for probe in white_box:
            table = measure_white_box(probe, network, name, passes, row, pool, config.ball, config.white_box, scale)
            parts.setdefault(probe, []).append(table)
        advance(1)
    keys = [*asked, *(key for control in made for key in control.keys)]
    return {key: pd.concat(parts[key], ignore_index=True) for key in keys}


class _Control:
    """A control of a network, made from a copy of it."""

    def __init__(
        self, control: str, network: Network, name: str, pool: Pool, config: Config, stored: Sequence[str]
    ) -> None:
        self._probes = [probe for probe in stored if probe in registered.probes_of(control)]
        if not self._probes:
            known = ", ".join(registered.probes_of(control))
            raise EpsballError(f"control '{control}' is measured by none of the probes; it is by {known}")
        self._name, self._compute = name_of(name, control), replace(config.compute, compile=False)
        self.keys = [name_of(probe, control) for probe in self._probes]
        made = registered.of(control, cast(Network, copy_module(network)), pool, config.seed, name)
        self._passes = forward.Forward(made, self._compute, exclusive=False)
        self._scales: Scales | None = None
        if registered.has_own_features(control):
            with explained(f"control '{control}'", name):
                self._scales = scales(*survey(self._passes, pool, config.compute.batch, self._name))

    def measure(
        self, row: pd.DataFrame, pool: Pool, drawn: Mapping[str, Path], config: Config, context: Context
    ) -> dict[str, pd.DataFrame]:
        """Measure it on a sample; `context` is the network's."""
        if self._scales is not None:
            context = Context(self._scales, context.mantel_permutations)
        tables = measure_control(
            self._passes, self._probes, row, pool, drawn, config.ball, self._compute, context, self._name
        )
        return dict(zip(self.keys, tables.values(), strict=True))
