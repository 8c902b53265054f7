"""A look at networks and datasets before a run: wrong channels, normalisation or labels show in a minute."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from epsball.analysis import intervals
from epsball.commands.input_mismatch import hint
from epsball.config import Config, NetworkSpec
from epsball.data import Pool, open_pool
from epsball.errors import EpsballError
from epsball.networks import model, weights
from epsball.networks.forward import Forward, configure, inputs
from epsball.stages.survey import survey


def inspect(config: Config, folder: Path, images: int) -> Iterator[dict[str, object]]:
    """Pass some images of its dataset through each network, with its weights.

    Args:
        config: of the run.
        folder: of the run; a network that it has trained is used, one that it will train has no accuracy yet.
        images: of each pool, evenly spaced.

    Yields:
        For each network: network, dataset, images, parameters, layer, units, classes, images/s (on one core),
        accuracy, sure (share right with a score above the threshold), and hint: a sentence, or empty, on what it seems
        to take for another thing than it is given, or that it may be sure of too few images.

    Raises:
        EpsballError: a dataset or a network does not work, or there is no image to pass.
    """
    if images < 1:
        raise EpsballError(f"--images is {images}; it must be at least 1")
    configure(config.compute)
    for spec in config.networks.values():
        dataset = config.datasets[spec.dataset]
        whole = open_pool(dataset, folder / "datasets" / dataset.name)
        pool = whole.spread(images)
        kept = folder / "networks" / spec.name / "weights.safetensors"
        # What a run has kept of a network that it does not train may be of another configuration than this.
        ours = spec.training is not None
        trained = not ours or kept.is_file()
        network = weights.restore(spec, kept) if ours and trained else model.open_network(spec)
        row = {
            "network": spec.name,
            "dataset": spec.dataset,
            "images": len(pool),
            "parameters": model.parameters(network),
            "layer": spec.layer or "into the last Linear",
        }
        passes = Forward(network, config.compute)
        table = survey(passes, pool, config.compute.batch, spec.name)
        right = table["prediction"] == table["label"]
        above = right & (table["score"] > dataset.threshold)
        image = _image(pool)[None]
        start = time.perf_counter()
        logits, features = passes(image)  # which is filled up to a batch
        rate = config.compute.batch / (time.perf_counter() - start) / config.compute.threads
        passes.float64(image)  # which a run will do
        classes, units = logits.shape[1], features.shape[1]
        said = hint(spec.name, network, config.compute, pool, table, classes) if trained else ""
        if not said and torch.equal(logits, features):
            said = (
                f"{spec.name}: the output of layer '{spec.layer}' is the logits; what enters the classification layer "
                "is the output of the one before it, or, with `layer` left out, the input of the last Linear module."
            )
        expected, low, high = (round(part * len(whole)) for part in intervals.share(above))
        if not said and trained and expected < dataset.samples:
            said = (
                f"{spec.name}: {above.sum()} of {len(above)} images are right with a score above {dataset.threshold}, "
                f"so of {len(whole)} about {expected} may be ({low} to {high} at 95%); {dataset.samples} samples are "
                f"asked for. If {right.mean():.0%} right is less than you know of the network, check normalisation and "
                "class list. If not, lower `threshold`, give more images, or do with fewer samples."
            )
        row |= {"units": units, "classes": classes, "images/s": round(rate, 1)}
        yield row | {
            "accuracy": f"{right.mean():.0%}" if trained else "not trained yet",
            "sure": f"{above.mean():.0%} above {dataset.threshold}" if trained else "",
            "hint": said,
        }


def layers(spec: NetworkSpec, pool: Pool) -> pd.DataFrame:
    """The layers of a network in the order in which an image passes them.

    Args:
        spec: the network.
        pool: of its dataset.

    Returns:
        A row a module that gives a tensor: layer (its name, for the configuration), module (its type), shape (of its
        output for one image), units.
    """
    module = model.build(spec, pretrained=False)
    rows: list[dict[str, object]] = []

    def keep(name: str, part: nn.Module, output: object) -> None:
        if isinstance(output, Tensor):
            shape = tuple(output.shape[1:])
            row = {"layer": name, "module": type(part).__name__, "shape": " × ".join(map(str, shape))}
            rows.append({**row, "units": output[0].numel()})

    for name, part in module.named_modules():
        if name:
            part.register_forward_hook(lambda part, _, output, name=name: keep(name, part, output))
    with torch.inference_mode():
        module(_image(pool)[None])
    return pd.DataFrame(rows)


def _image(pool: Pool) -> Tensor:
    return inputs(next(pool.batches(1))[1][0])
