"""Survey the pool of a dataset with a control that has features of its own."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from dataclasses import replace

    from epsball import controls
    from epsball.data import open_pool
    from epsball.networks import forward, model
    from epsball.runs import files, gaps
    from epsball.stages.survey import survey

    network, control = config.networks[snakemake.wildcards.network], snakemake.wildcards.control
    compute = replace(config.compute, compile=False)  # too few passes for it to pay
    forward.configure(compute)
    pool = open_pool(config.datasets[network.dataset], config.folder / "datasets" / network.dataset)
    restored = model.restore(network, Path(snakemake.input.weights))
    name = controls.name_of(network.name, control)
    outputs = snakemake.output.table, snakemake.output.features
    with gaps.collected(outputs, config.on_failure) as tables, gaps.explained(f"control '{control}'", network.name):
        passes = forward.Forward(controls.of(control, restored, pool, config.seed, network.name), compute)
        tables.update(zip(outputs, survey(passes, pool, compute.batch, name), strict=True))
    for path, table in tables.items():
        files.write_table(Path(path), table)
