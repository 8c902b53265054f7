"""Render a split of a dataset of signs."""

from pathlib import Path

from epsball.runs.job import job
from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.data.rendered import render

    wildcards = snakemake.wildcards
    render(config.datasets[wildcards.dataset], wildcards.split, Path(snakemake.output.images))
