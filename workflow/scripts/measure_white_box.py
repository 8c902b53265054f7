"""Measure a white-box probe on a shard."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    import pandas as pd
    from epsball.data import open_pool
    from epsball.networks import forward, weights
    from epsball.probes.normalisers import scales
    from epsball.runs import files
    from epsball.stages.measure_white_box import measure_white_box
    from epsball.stages.select import read_samples, shard_rows

    [network] = snakemake.params.network
    [dataset] = snakemake.params.dataset
    [ball] = snakemake.params.ball
    [compute] = snakemake.params.compute
    [settings] = snakemake.params.settings
    paths, wildcards = snakemake.input, snakemake.wildcards
    forward.configure(compute)
    scale_g, scale_h = scales(pd.read_parquet(paths.survey))
    restored = weights.restore(network, Path(paths.weights))
    table = measure_white_box(
        wildcards.probe,
        restored,
        network.name,
        forward.Forward(restored, compute),
        shard_rows(read_samples(paths.samples), int(wildcards.shard)),
        open_pool(dataset, snakemake.params.folder / dataset.name),
        ball,
        settings,
        scale_g / scale_h,
    )
    files.write_table(Path(snakemake.output.table), table)
