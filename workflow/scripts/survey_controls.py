"""Survey the pool of a dataset with the controls of a network that have features of their own."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from dataclasses import replace

    from epsball import controls
    from epsball.data import open_pool
    from epsball.networks import forward, weights
    from epsball.runs import files
    from epsball.stages.survey import survey

    network = config.networks[snakemake.wildcards.network]
    compute = replace(config.compute, compile=False)  # too few passes for it to pay
    forward.configure(compute)
    pool = open_pool(config.datasets[network.dataset], config.folder / "datasets" / network.dataset)
    for control, output in zip(controls.with_own_features(config), snakemake.output.tables, strict=True):
        restored = weights.restore(network, Path(snakemake.input.weights))
        passes = forward.Forward(controls.of(control, restored, pool, config.seed), compute)
        table = survey(passes, pool, compute.batch, controls.name_of(network.name, control))
        files.write_table(Path(output), table)
