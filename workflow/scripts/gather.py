"""Join the parts of a network's tables."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from epsball import files
from epsball.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0]):
    for output in map(Path, snakemake.output):
        parts = [path for path in snakemake.input if Path(path).parent == output.with_suffix("")]
        files.write_table(output, pd.concat(map(pd.read_parquet, parts), ignore_index=True))
