"""The gather stage: the tables of a network from the parts of its shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd


def gather(parts: Sequence[Path], samples: pd.DataFrame) -> pd.DataFrame:
    """Join the parts of a table, one for each shard, in the order of the samples."""
    table = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    table.attrs = {}  # what made a part is not said of the whole
    order = pd.Index(samples["sample"]).get_indexer
    return table.sort_values("sample", key=order, kind="stable", ignore_index=True)
