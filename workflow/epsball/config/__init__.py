"""The configuration of a run: read once, checked whole, handed on as frozen dataclasses. Nobody else reads raw keys."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any, Literal

import jsonschema

from epsball.errors import EpsballError, did_you_mean

Norm = Literal["l2", "linf"]
Noise = Literal["uniform", "sphere", "gaussian"]

TRAINABLE = ("signs", "gtsrb")  # kinds of dataset with a training split


@dataclass(frozen=True)
class Ball:
    """Which perturbations: Eq. 4 and 6.

    Attributes:
        radii: 0, epsilon and the configured radii, rising.
        epsilon: the small radius.
        draws: T, for each sample, radius and family.
        norm: what the radius measures.
        clip: whether perturbed images are clipped to [0, 1].
        noise: what elements are drawn from: U(-1, 1), as in Eq. 4; or the normal distribution, scaled to the norm like
            them ("sphere"), or by a constant factor, so that its mean square alone is the radius' ("gaussian").
    """

    radii: tuple[float, ...]
    epsilon: float
    draws: int
    norm: Norm = "l2"
    clip: bool = False
    noise: Noise = "uniform"


@dataclass(frozen=True)
class Compute:
    """How forward passes run; each of these can change float rounding. `compile` is for passes on the CPU."""

    batch: int = 20
    threads: int = 1
    device: str = "auto"
    float64_draws: int = 4
    compile: bool = False


@dataclass(frozen=True)
class WhiteBox:
    """How far white-box probes go, those that ask the network itself.

    Attributes:
        draws: of each family and radius that they look at, the first ones of T.
        layers: of the networks that have an entry, by name, the modules that `depth` measures.
        layer_memory: megabytes that the outputs of the layers of one group may take.
        power_iterations: at most, for the norm of a Jacobian.
        clever_batches: batches whose largest gradient norms the extreme value distribution is fitted to.
        clever_size: gradients in each.
        clever_radius: of the ball that they are sampled in, L2.
        directions: random ones in which the distance to the decision boundary is searched.
    """

    draws: int = 20
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    layer_memory: int = 500
    power_iterations: int = 100
    clever_batches: int = 20
    clever_size: int = 10
    clever_radius: float = 1.0
    directions: int = 10


@dataclass(frozen=True)
class DatasetSpec:
    """A source of images. `options` are the keys that its kind has of its own."""

    name: str
    kind: str
    samples: int
    threshold: float
    limit: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> DatasetSpec:
        """The dataset as a source of images: how many samples are wanted, and how sure, is not part of it."""
        return replace(self, samples=0, threshold=0.0, limit=None)


@dataclass(frozen=True)
class TrainingSpec:
    """How a network is trained: AdamW under a one-cycle schedule.

    Attributes:
        epochs: passes over the images.
        batch: images in a step.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW.
        validation: share of the tracks (or images) that is held out, for the learning curve.
        augment: whether images are varied, see `epsball.networks.augmentation`.
        adversarial_radius: L2 radius of adversarial training, see `epsball.networks.adversarial_training`; 0 for none.
        adversarial_steps: of its search for the worst image.
        threads: CPU threads; apart from those of the run, for another number trains another network.
    """

    epochs: int = 1
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    validation: float = 0.1
    augment: bool = False
    adversarial_radius: float = 0.0
    adversarial_steps: int = 3
    threads: int = 1


@dataclass(frozen=True)
class NetworkSpec:
    """A network under study, as configured."""

    name: str
    dataset: str
    factory: str
    args: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    layer: str | None = None
    training: TrainingSpec | None = None


@dataclass(frozen=True)
class Config:
    """A run, whole and valid."""

    run: str
    seed: int
    ball: Ball
    compute: Compute
    shard_size: int
    mantel_permutations: int
    bootstrap: int
    illustration_grid: int
    extra_probes: tuple[str, ...]
    controls: tuple[str, ...]
    white_box: WhiteBox
    keep_activations: bool
    datasets: Mapping[str, DatasetSpec]
    networks: Mapping[str, NetworkSpec]

    def networks_of(self, dataset: str) -> list[NetworkSpec]:
        """The networks of a dataset, in the configuration's order."""
        return [network for network in self.networks.values() if network.dataset == dataset]

    def building(self, network: NetworkSpec) -> Compute:
        """How a network is built: training has threads of its own, so that every run trains the same network."""
        threads = network.training.threads if network.training else self.compute.threads
        return Compute(threads=threads, device=self.compute.device)


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON schema of the configuration."""
    text = resources.files("epsball.config").joinpath("config.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def load_config(raw: Mapping[str, Any]) -> Config:
    """Check a configuration and fill in its defaults.

    Args:
        raw: what the YAML file held.

    Returns:
        The valid configuration.

    Raises:
        EpsballError: naming every mistake that was found, one a line.
    """
    mistakes = list(_mistakes(raw))
    if mistakes:
        raise EpsballError("\n".join(f"configuration: {mistake}" for mistake in mistakes))
    top = {**_defaults(schema()["properties"]), **raw}
    datasets = {name: _dataset(name, entry, top) for name, entry in raw["datasets"].items()}
    networks = {name: _network(name, entry) for name, entry in raw["networks"].items()}
    return Config(
        run=top["run"],
        seed=top["seed"],
        ball=Ball(
            radii=tuple(float(r) for r in (0, top["epsilon"], *top["radii"])),
            epsilon=float(top["epsilon"]),
            draws=top["draws"],
            norm=top["norm"],
            clip=top["clip"],
            noise=top["noise"],
        ),
        compute=Compute(
            batch=top["batch"],
            threads=top["threads"],
            device=top["device"],
            float64_draws=min(top["float64_draws"], top["draws"]),
            compile=top["compile"],
        ),
        shard_size=top["shard_size"],
        mantel_permutations=top["mantel_permutations"],
        bootstrap=top["bootstrap"],
        illustration_grid=top["illustration_grid"],
        extra_probes=tuple(top["extra_probes"]),
        controls=tuple(top["controls"]),
        white_box=_white_box(top.get("white_box", {})),
        keep_activations=top["keep_activations"],
        datasets=datasets,
        networks=networks,
    )


def _defaults(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry["default"] for key, entry in properties.items() if "default" in entry}


def _white_box(entry: Mapping[str, Any]) -> WhiteBox:
    layers = {network: tuple(names) for network, names in entry.get("layers", {}).items()}
    return WhiteBox(**{**_defaults(schema()["properties"]["white_box"]["properties"]), **entry, "layers": layers})


def _dataset(name: str, entry: Mapping[str, Any], top: Mapping[str, Any]) -> DatasetSpec:
    common = schema()["$defs"]["dataset"]["properties"]
    kind = schema()["$defs"]["kinds"][entry["kind"]]
    options = {**_defaults(kind["properties"]), **{key: entry[key] for key in entry if key not in common}}
    return DatasetSpec(
        name=name,
        kind=entry["kind"],
        samples=entry.get("samples", top["samples"]),
        threshold=entry.get("threshold", top["threshold"]),
        limit=entry.get("limit"),
        options=dict(sorted(options.items())),
    )


def _network(name: str, entry: Mapping[str, Any]) -> NetworkSpec:
    training = entry.get("training")
    if training is None and entry["factory"].startswith("sign:") and "weights" not in entry:
        training = {}  # there are no weights of these to be had: they are trained
    return NetworkSpec(
        name=name,
        dataset=entry["dataset"],
        factory=entry["factory"],
        args=dict(sorted(entry.get("args", {}).items())),
        weights=entry.get("weights"),
        layer=entry.get("layer"),
        training=None if training is None else TrainingSpec(**training),
    )


def _mistakes(raw: Mapping[str, Any]) -> Iterator[str]:
    """Every mistake, as a phrase: where, what was found, what is expected."""
    yield from _violations(schema(), raw, "")
    for part in ("datasets", "networks"):
        for name in raw[part] if isinstance(raw.get(part), Mapping) else ():
            if not isinstance(name, str):
                yield f"{part} has the name {name!r}, which YAML takes for no text; put it in quotes"
    datasets, networks = raw.get("datasets"), raw.get("networks")
    kinds = schema()["$defs"]["kinds"]
    if isinstance(datasets, Mapping):
        for name, entry in datasets.items():
            if not isinstance(entry, Mapping) or "kind" not in entry:
                continue
            if entry["kind"] not in kinds:
                hint = did_you_mean(str(entry["kind"]), kinds)
                yield f"datasets.{name}.kind is '{entry['kind']}', no such kind; {hint}"
                continue
            kind = kinds[entry["kind"]]
            properties = {**schema()["$defs"]["dataset"]["properties"], **kind["properties"]}
            required = kind.get("required", [])
            yield from _violations(
                {"properties": properties, "required": required, "additionalProperties": False},
                entry,
                f"datasets.{name}",
            )
    if isinstance(datasets, Mapping) and isinstance(networks, Mapping):
        used = set()
        for name, entry in networks.items():
            if not isinstance(entry, Mapping) or not isinstance(entry.get("dataset"), str):
                continue
            used.add(entry["dataset"])
            if entry["dataset"] not in datasets:
                hint = did_you_mean(entry["dataset"], datasets)
                yield f"networks.{name}.dataset is '{entry['dataset']}', no dataset of this configuration; {hint}"
            elif "training" in entry and datasets[entry["dataset"]].get("kind") not in TRAINABLE:
                yield f"networks.{name}.training is set, but dataset '{entry['dataset']}' has no training split"
        for name in datasets:
            if name not in used and used <= set(datasets):
                yield f"datasets.{name} has no network; add one under networks or remove the dataset"
    white_box = raw.get("white_box")
    layers = white_box.get("layers") if isinstance(white_box, Mapping) else None
    if isinstance(layers, Mapping) and isinstance(networks, Mapping):
        for name in layers:
            if name not in networks:
                hint = did_you_mean(str(name), networks)
                yield f"white_box.layers has '{name}', no network of this configuration; {hint}"
    batch, float64_draws = (raw.get(key, schema()["properties"][key]["default"]) for key in ("batch", "float64_draws"))
    if isinstance(batch, int) and isinstance(float64_draws, int) and float64_draws > batch:
        yield f"float64_draws is {float64_draws}; it must be at most batch ({batch})"
    if raw.get("noise") == "gaussian" and raw.get("norm") == "linf":
        yield "noise is 'gaussian', whose L2 norm alone has a scale; it needs norm l2, not linf"
    radii, epsilon = raw.get("radii"), raw.get("epsilon", schema()["properties"]["epsilon"]["default"])
    if isinstance(radii, list) and all(isinstance(r, int | float) for r in [epsilon, *radii]):
        steps = [epsilon, *radii]
        if any(later <= earlier for earlier, later in itertools.pairwise(steps)):
            yield f"radii are {radii}; they must rise, and start above epsilon ({epsilon})"


def _violations(part: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
    """What JSON Schema finds wrong with `value`, in words."""
    validator = jsonschema.Draft202012Validator({"$defs": schema()["$defs"], **part})
    for error in sorted(validator.iter_errors(value), key=lambda e: [str(p) for p in e.absolute_path]):
        path = ".".join([where, *(str(p) for p in error.absolute_path)]).strip(".")
        place = path or "the file"
        match error.validator:
            case "additionalProperties":
                known = error.schema["properties"]
                for key in error.instance:
                    if key not in known:
                        yield f"unknown key '{key}' in {place}; {did_you_mean(str(key), known)}"
            case "required":
                for key in error.validator_value:
                    if key not in error.instance:
                        yield f"{place} has no key '{key}'; it is needed"
            case "type":
                found = "empty" if error.instance is None else repr(error.instance)
                kinds = {"object": "keys with values", "array": "a list, such as [1, 2]"}
                yield f"{place} is {found}; expected: {kinds.get(error.validator_value, error.validator_value)}"
            case "enum":
                yield f"{place} is {error.instance!r}; expected one of: {', '.join(map(str, error.validator_value))}"
            case "exclusiveMinimum":
                yield f"{place} is {error.instance}; it must be above {error.validator_value}"
            case "exclusiveMaximum":
                yield f"{place} is {error.instance}; it must be below {error.validator_value}"
            case "minimum":
                yield f"{place} is {error.instance}; it must be at least {error.validator_value}"
            case "maximum":
                yield f"{place} is {error.instance}; it must be at most {error.validator_value}"
            case "minItems" | "minProperties":
                yield f"{place} is empty; give at least one"
            case "pattern" if "propertyNames" in error.absolute_schema_path:
                yield f"{place} has the name {error.instance!r}; expected: letters, digits, . _ -"
            case "pattern":
                example = (
                    "kind:name, such as sign:ciresan2012" if path.endswith("factory") else "letters, digits, . _ -"
                )
                yield f"{place} is {error.instance!r}; expected: {example}"
            case _:
                yield f"{place}: {error.message}"
