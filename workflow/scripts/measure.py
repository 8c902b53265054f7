"""Measure a probe on a shard."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    import pandas as pd
    from epsball.probes import Context
    from epsball.probes.normalisers import scales
    from epsball.runs import files
    from epsball.stages.measure import measure
    from epsball.stages.select import read_samples, shard_rows

    [ball] = snakemake.params.ball
    paths, wildcards = snakemake.input, snakemake.wildcards
    table = measure(
        wildcards.probe,
        shard_rows(read_samples(paths.samples), int(wildcards.shard)),
        Path(paths.activations),
        Path(paths.perturbations),
        ball,
        Context(*scales(pd.read_parquet(paths.survey)), snakemake.params.mantel_permutations),
    )
    files.write_table(Path(snakemake.output.table), table)
