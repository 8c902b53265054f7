"""Select the samples that all networks of a dataset are sure of."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    import pandas as pd
    from epsball.runs import files
    from epsball.stages.select import read_samples, select

    [dataset] = snakemake.params.dataset
    names, paths = snakemake.params.networks, snakemake.input.surveys
    surveys = {name: pd.read_parquet(path) for name, path in zip(names, paths, strict=True)}
    path = Path(snakemake.output.samples)
    earlier = files.previous(path)
    before = read_samples(str(earlier)) if earlier.is_file() else None
    samples = select(surveys, dataset, snakemake.params.seed, snakemake.params.shard_size, before)
    files.write_table(path, samples)
    files.retain(path)
