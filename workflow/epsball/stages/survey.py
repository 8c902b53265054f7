"""The survey: one pass of a network over a dataset's pool."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import torch

from epsball.data import Pool, images
from epsball.networks import scores
from epsball.networks.consistency import require_any_size, require_function
from epsball.networks.forward import Forward, inputs
from epsball.networks.model import Network
from epsball.networks.outputs import require_unbounded
from epsball.runs.progress import Progress

_LOOKED_AT = 32  # images
_FEW = 10  # fewer are looked at in variants too


def require_usable(network: Network, pool: Pool, batch: int) -> None:
    """Check on images from all over a pool, `batch` at a time, that a network returns logits, and one layer's features.

    Raises:
        EpsballError: see `Network.require_layer` and `epsball.networks.outputs.require_unbounded`.
    """
    passed = [inputs(pictures) for _, pictures in pool.spread(_LOOKED_AT).batches(batch)]
    if sum(map(len, passed)) < _FEW:
        passed = [images for one in passed for images in (one, one.flip(-1), 1 - one, one / 2)]
    require_unbounded(torch.cat([network.require_layer(images) for images in passed]))


class Survey(NamedTuple):
    """What a network says of a pool.

    Attributes:
        images: a row for each usable image: image, label, prediction, score (softmax of the label's class), digest (of
            the pixels), track, and the minimum and maximum of its input and of its features behind g and h of Eq. 9.
            Its ``attrs["class_names"]`` has the names of the classes, where the dataset tells them.
        features: a row for each feature: its minimum and maximum over all images.
    """

    images: pd.DataFrame
    features: pd.DataFrame


def survey(forward: Forward, pool: Pool, batch: int, name: str) -> Survey:
    """Compute a network's predictions, scores and extremes over a pool, `batch` images at a time.

    Raises:
        EpsballError: the network is no fixed function of one image.
    """
    parts: list[pd.DataFrame] = []
    lowest = highest = torch.empty(0)
    first = inputs(next(pool.batches(2))[1])
    require_function(forward, first)
    require_any_size(forward.unpadded(first), forward(first))
    with Progress(f"survey {name}", len(pool), "images") as progress:
        for numbers, pictures in pool.batches(batch):
            passed = inputs(pictures)
            logits, features = forward(passed)
            ends = features.amin(dim=0), features.amax(dim=0)
            lowest, highest = (torch.minimum(lowest, ends[0]), torch.maximum(highest, ends[1])) if parts else ends
            labels = pool.labels[numbers]
            summary = scores.summarise(logits.numpy(), labels)
            columns = {
                "image": [pool.names[number] for number in numbers],
                "label": labels,
                "prediction": summary.prediction,
                "score": scores.score(summary.log_odds),
                "digest": [images.digest(picture) for picture in pictures],
                "track": [pool.tracks[number] if pool.tracks else "" for number in numbers],
                "input_min": passed.amin(dim=(1, 2, 3)).double().numpy(),
                "input_max": passed.amax(dim=(1, 2, 3)).double().numpy(),
                "feature_min": features.amin(dim=1).double().numpy(),
                "feature_max": features.amax(dim=1).double().numpy(),
            }
            parts.append(pd.DataFrame(columns))
            progress.advance(len(numbers))
    extremes = pd.DataFrame({"minimum": lowest.double().numpy(), "maximum": highest.double().numpy()})
    table = pd.concat(parts, ignore_index=True)
    if pool.class_names is not None:
        table.attrs["class_names"] = list(pool.class_names)  # Parquet keeps it
    return Survey(table, extremes)
