"""Measure the perturbations of a shard, family by family."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.data import open_pool
    from epsball.networks import forward
    from epsball.perturbations import families
    from epsball.runs import files, provenance
    from epsball.stages.perturb import perturb
    from epsball.stages.select import read_shard

    wildcards = snakemake.wildcards
    dataset = config.datasets[wildcards.dataset].source
    forward.configure(config.compute)
    pool = open_pool(dataset, config.folder / "datasets" / dataset.name)
    rows = read_shard(snakemake.input.samples, int(wildcards.shard))
    ball, threads = config.ball, config.compute.threads
    drawn = (ball.norm, ball.clip, ball.noise)
    made_by = provenance.attributes(snakemake.params.versions, dataset=dataset, ball=drawn, threads=threads)
    for path in map(Path, snakemake.output.stores):
        family = path.parent.name
        code = {"code": snakemake.params.code[family]}
        perturb(family, rows, pool, families.ball(ball, family), path, made_by | code)
        files.retain(path)
