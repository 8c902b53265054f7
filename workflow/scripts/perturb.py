"""Measure the perturbations of a shard."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball import files, forward, provenance
    from epsball.datasets import open_pool
    from epsball.perturbation import perturb
    from epsball.selection import read_samples, shard_rows

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
    files.keep(Path(snakemake.output.store))
