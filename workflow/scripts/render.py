"""Render a split of a dataset of signs."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.data.signs import render

    wildcards = snakemake.wildcards
    render(config.datasets[wildcards.dataset], wildcards.split, Path(snakemake.output.images))
