"""Measure the perturbations of a shard."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.data import open_pool
    from epsball.networks import forward
    from epsball.runs import files, provenance
    from epsball.stages.perturb import perturb
    from epsball.stages.select import read_samples, shard_rows

    [dataset] = snakemake.params.dataset
    [ball] = snakemake.params.ball
    [compute] = snakemake.params.compute
    params, wildcards = snakemake.params, snakemake.wildcards
    forward.configure(compute)
    perturb(
        wildcards.family,
        shard_rows(read_samples(snakemake.input.samples), int(wildcards.shard)),
        open_pool(dataset, params.folder / dataset.name),
        ball,
        Path(snakemake.output.store),
        provenance.attributes(dataset=dataset, ball=(ball.norm, ball.clip, ball.noise), compute=compute)
        | {"code": params.code},
    )
    files.retain(Path(snakemake.output.store))
