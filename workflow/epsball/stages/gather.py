"""The gather stage: the tables of a network from the parts of its shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from epsball.stages.select import sample_numbers


def gather(parts: Sequence[Path], samples: pd.DataFrame) -> pd.DataFrame:
    """Join the parts of a table, one for each shard, in the order of the samples."""
    table = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    table.attrs = {}  # what made a part is not said of the whole
    numbers = sample_numbers(samples)
    return table.sort_values("sample", key=lambda column: column.map(numbers), kind="stable", ignore_index=True)
