"""Render a split of a dataset of signs."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.data.rendered import render

    [dataset] = snakemake.params.dataset
    render(dataset, snakemake.wildcards.split, Path(snakemake.output.images))
