"""Render a split of a dataset of signs."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.datasets.rendered import render
from epsball.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    [dataset] = snakemake.params.dataset
    render(dataset, snakemake.wildcards.split, Path(snakemake.output.images))
