"""Select the samples of a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.runs import files
    from epsball.stages.select import read_samples, select

    dataset = config.datasets[snakemake.wildcards.dataset]
    names = [network.name for network in config.networks_of(dataset.name)]
    surveys = {name: files.read_table(path) for name, path in zip(names, snakemake.input.surveys, strict=True)}
    path = Path(snakemake.output.samples)
    before = read_samples(kept) if (kept := files.earlier(path)) else None
    files.write_table(path, select(surveys, dataset, config.seed, config.shard_size, before))
    files.retain(path)
