"""The gather stage: the tables of a network from the parts of its shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from epsball.runs import gaps
from epsball.stages.select import sample_numbers


def gather(parts: Sequence[Path], samples: pd.DataFrame) -> pd.DataFrame:
    """Join the parts of a table, one for each shard, in the order of the samples; see `epsball.runs.gaps.joined`."""
    table, numbers = gaps.joined(map(pd.read_parquet, parts)), sample_numbers(samples)
    return table.sort_values("sample", key=lambda column: column.map(numbers), kind="stable", ignore_index=True)
