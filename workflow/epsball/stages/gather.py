"""The gather stage: the tables of a network from the parts of its shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from epsball.runs import files, gaps


def gather(parts: Sequence[Path], samples: pd.DataFrame) -> pd.DataFrame:
    """Join the parts of a table, one for each shard, in the order of the samples; see `epsball.runs.gaps.joined`."""
    order = pd.Index(samples["sample"]).get_indexer
    return gaps.joined(map(files.read_table, parts)).sort_values("sample", key=order, kind="stable", ignore_index=True)
