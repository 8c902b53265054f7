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
    spec = config.networks[wildcards.network]
    compute = replace(config.compute, compile=False)  # too few passes for it to pay
    forward.configure(compute)
    scales = read_scales(Path(paths.survey))
    network = model.restore(spec, Path(paths.weights))
    passes = forward.Forward(network, compute)
    rows = read_shard(paths.samples, int(wildcards.shard), spec.name)
    pool = open_pool(config.datasets[spec.dataset].source, config.folder / "datasets" / spec.dataset)
    settings, scale, probe = config.white_box, scales.g / scales.h, wildcards.probe
    with gaps.collected([probe], on_failure(config, probe)) as tables:
        tables[probe] = measure_white_box(probe, network, spec.name, passes, rows, pool, config.ball, settings, scale)
    files.write_table(Path(snakemake.output.table), tables[probe])
