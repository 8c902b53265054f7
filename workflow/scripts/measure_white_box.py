"""Measure a white-box probe on a shard."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from dataclasses import replace

    from epsball.data import open_pool
    from epsball.networks import forward, model
    from epsball.probes import on_failure
    from epsball.probes.normalisers import read_scales
    from epsball.runs import files, gaps
    from epsball.stages.measure_white_box import measure_white_box
    from epsball.stages.select import read_shard

    paths, wildcards = snakemake.input, snakemake.wildcards
    network = config.networks[wildcards.network]
    dataset = config.datasets[network.dataset].source
    compute = replace(config.compute, compile=False)  # too few passes for it to pay
    forward.configure(compute)
    scale_g, scale_h = read_scales(paths.survey)
    restored = model.restore(network, Path(paths.weights))
    with gaps.collected([wildcards.probe], on_failure(config, wildcards.probe)) as tables:
        tables[wildcards.probe] = measure_white_box(
            wildcards.probe,
            restored,
            network.name,
            forward.Forward(restored, compute),
            read_shard(paths.samples, int(wildcards.shard)),
            open_pool(dataset, config.folder / "datasets" / dataset.name),
            config.ball,
            config.white_box,
            scale_g / scale_h,
        )
    files.write_table(Path(snakemake.output.table), tables[wildcards.probe])
