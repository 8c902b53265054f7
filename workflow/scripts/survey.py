"""Survey the pool of a dataset with a network."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.data import open_pool
    from epsball.networks import forward, model
    from epsball.runs import files, files_read
    from epsball.stages.survey import require_usable, survey

    network = config.networks[snakemake.wildcards.network]
    forward.configure(config.compute)
    restored = model.restore(network, Path(snakemake.input.weights))
    dataset, folder = config.datasets[network.dataset], config.folder / "datasets" / network.dataset
    with files_read.recording() as read:
        pool = open_pool(dataset, folder)
        require_usable(restored, pool, config.compute.batch)
        passes = forward.Forward(restored, config.compute)
        found = survey(passes, pool, config.compute.batch, network.name)
    if dataset.kind == "factory":  # of other kinds, the files are known
        files_read.keep(folder, read, snakemake.params.since)
    files.write_table(Path(snakemake.output.features), found.features)
    files.write_table(Path(snakemake.output.table), found.images)
