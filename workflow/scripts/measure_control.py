"""Measure a control of a network on a shard."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    import pandas as pd
    from epsball import controls
    from epsball.data import open_pool
    from epsball.networks import forward, weights
    from epsball.probes import Context
    from epsball.probes.normalisers import scales
    from epsball.runs import files
    from epsball.stages.measure_control import measure_control
    from epsball.stages.select import read_samples, shard_rows

    [network] = snakemake.params.network
    [dataset] = snakemake.params.dataset
    [ball] = snakemake.params.ball
    [compute] = snakemake.params.compute
    paths, wildcards = snakemake.input, snakemake.wildcards
    forward.configure(compute)
    pool = open_pool(dataset, snakemake.params.folder / dataset.name)
    restored = weights.restore(network, Path(paths.weights))
    outputs = {path.parent.name: path for path in map(Path, snakemake.output)}
    tables = measure_control(
        forward.Forward(controls.of(wildcards.control, restored, pool, snakemake.params.seed), compute),
        list(outputs),
        shard_rows(read_samples(paths.samples), int(wildcards.shard)),
        pool,
        {path.parent.name: path for path in map(Path, paths.perturbations)},
        ball,
        compute,
        Context(*scales(pd.read_parquet(paths.survey)), snakemake.params.mantel_permutations),
        controls.name_of(wildcards.network, wildcards.control),
    )
    for name, table in tables.items():
        files.write_table(outputs[name], table)
