"""Render a split of a dataset of signs."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.config import load_config
    from epsball.data.rendered import render

    config, wildcards = load_config(snakemake.config), snakemake.wildcards
    render(config.datasets[wildcards.dataset], wildcards.split, Path(snakemake.output.images))
