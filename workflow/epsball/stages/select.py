"""Select the samples that every network of a dataset classifies confidently, in the order of a hash of the pixels."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from epsball.config import DatasetSpec
from epsball.errors import EpsballError
from epsball.runs import files

_IMAGE = ["image", "label", "digest"]  # what an image is known by in each survey; its row may be another
_CHOSEN = "chosen_"  # before the name of a network, which is measured on some of the samples
_SAMPLE = ["sample", "image", "label", "seed", "digest"]  # what a sample is known by, whatever its shard


def sample_seed(seed: int, image_digest: str) -> int:
    """Return a sample's 64-bit seed: a hash of the run's seed and the image's digest."""
    return int.from_bytes(hashlib.sha256(f"{seed} {image_digest}".encode()).digest()[:8], "big")


def identify(images: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Add to a table of images, by its column digest, the seed and the name that each has as a sample."""
    seeds = [sample_seed(seed, digest) for digest in images["digest"]]
    return images.assign(seed=np.array(seeds, np.uint64), sample=[f"{own:016x}"[:10] for own in seeds])


def select(
    surveys: Mapping[str, pd.DataFrame],
    spec: DatasetSpec,
    seed: int,
    shard_size: int,
    before: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Select the first samples, by seed, that networks classify correctly above the threshold in their surveys.

    All of them do, or a share; or each network has the first that it does itself. Where tracks are known, at most one
    frame of a track is taken; of equal images, one; where classes are to be balanced, the first of each class come
    before the second ones. A sample that was selected before keeps its shard, so that what is stored of it is found
    again; new samples get new shards.

    Returns:
        One row for each sample: sample (name), image, label, seed, shard, digest (of the pixels), and score_<network>
        for each network; unless all networks are sure of all samples, also chosen_<network>, whether it is measured on
        the sample. Fewer rows than requested if the pool has no more.

    Raises:
        EpsballError: the surveys are not of the same images, or no image qualifies; the message says how far each
            network gets.
    """
    table = next(iter(surveys.values()))[[*_IMAGE, "track"]].set_index(_IMAGE)
    sure = pd.DataFrame(index=table.index)
    for network, survey in surveys.items():
        own = survey.set_index(_IMAGE)
        if len(others := table.index.symmetric_difference(own.index)):
            raise EpsballError(
                f"datasets.{spec.name}: the surveys of '{network}' and '{next(iter(surveys))}' are not of the same "
                f"images: {len(others)} differ in name, label or pixels, such as '{others[0][0]}'; remove "
                f"results/<run>/survey/{spec.name} and run again"
            )
        table[f"score_{network}"] = own["score"]
        sure[network] = eligible(own.reset_index("label"), spec.threshold).set_axis(own.index)
    table, chosen = identify(table.reset_index(), seed), sure.reset_index(drop=True)
    if spec.selection == "each":
        chosen = pd.DataFrame({name: table.index.isin(_first(table[chosen[name]], spec).index) for name in chosen})
    else:
        qualified = sure.to_numpy().mean(axis=1) >= spec.share
        chosen &= table.index.isin(_first(table[qualified], spec).index)[:, None]
    if without := [network for network in surveys if not chosen[network].any()]:
        reached = "; ".join(_reach(network, survey, spec.threshold) for network, survey in surveys.items())
        whom = "all of its networks" if spec.selection == "all" else f"'{without[0]}', or not as a sample"
        raise EpsballError(
            f"datasets.{spec.name}: none of {len(table)} images is classified correctly above {spec.threshold} by "
            f"{whom} ({reached}); lower its threshold or check labels and normalisation"
        )
    rows = chosen.any(axis=1)
    table = table[rows].join(chosen[rows].add_prefix(_CHOSEN)).sort_values("seed").reset_index(drop=True)
    table["shard"] = _shards(table["sample"], before, shard_size)
    columns = ["sample", "image", "label", "seed", "shard", "digest", *(f"score_{network}" for network in surveys)]
    return table[columns + [f"{_CHOSEN}{network}" for network in surveys if spec.selection != "all"]]


def _first(candidates: pd.DataFrame, spec: DatasetSpec) -> pd.DataFrame:
    """Return the first samples of a table of those that qualify: by seed, or the first of each class before others."""
    table = candidates.sort_values("seed").drop_duplicates("digest")
    table = table[(table["track"] == "") | ~table["track"].duplicated()]
    if spec.balanced:
        table = table.iloc[np.argsort(table.groupby("label").cumcount(), kind="stable")]
    return table.head(spec.samples)


def _shards(samples: pd.Series, before: pd.DataFrame | None, size: int) -> list[int]:
    earlier = {} if before is None else dict(zip(before["sample"], before["shard"], strict=True))
    shards = {sample: earlier[sample] for sample in samples if sample in earlier}
    free = itertools.filterfalse(set(shards.values()).__contains__, itertools.count())
    new = [sample for sample in samples if sample not in shards]
    for start in range(0, len(new), size):
        shards |= dict.fromkeys(new[start : start + size], next(free))
    return [int(shards[sample]) for sample in samples]


def eligible(survey: pd.DataFrame, threshold: float) -> pd.Series:
    """Return whether each image is classified correctly with a score above the threshold."""
    return (survey["prediction"] == survey["label"]) & (survey["score"] > threshold)


def _reach(network: str, survey: pd.DataFrame, threshold: float) -> str:
    right = int((survey["prediction"] == survey["label"]).sum())
    above = int(eligible(survey, threshold).sum())
    best = survey["score"].max()
    shown = f"{best:.4f}" if best < 0.9999 else f"1 - {1 - best:.1g}"
    return f"{network}: {right} right, {above} above the threshold, best score {shown}"


def shards(samples: pd.DataFrame) -> list[int]:
    """Return the numbers of the shards of a sample table."""
    return [int(shard) for shard in samples["shard"].unique()]


def shard_rows(samples: pd.DataFrame, shard: int) -> pd.DataFrame:
    """Return what identifies the samples of a shard: nothing that other networks or more samples could change."""
    rows = samples.loc[samples["shard"] == shard, _SAMPLE]
    return rows.reset_index(drop=True)


def read_samples(path: str | Path, network: str = "") -> pd.DataFrame:
    """Read a sample table that `select` made: of a network, the samples that it is measured on."""
    table = files.read_table(path, dtype={"sample": "str", "image": "str", "seed": "uint64"})
    if lacking := [name for name in [*_SAMPLE, "shard"] if name not in table]:
        raise EpsballError(f"'{path}' has no column {lacking[0]}; remove it and run again to make it anew")
    return of_network(table, network)


def of_network(samples: pd.DataFrame, network: str) -> pd.DataFrame:
    """Return the samples that a network is measured on, or without its name all."""
    chosen = samples.get(f"{_CHOSEN}{network}")
    return samples if chosen is None else samples[chosen].reset_index(drop=True)


def read_shard(path: str | Path, shard: int, network: str = "") -> pd.DataFrame:
    """Read the rows of one shard of a sample table, of a network those that it is measured on; see `shard_rows`."""
    return shard_rows(read_samples(path, network), shard)
