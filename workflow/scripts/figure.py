"""Draw a figure."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.reporting.figures import draw

    [config] = snakemake.params.config
    draw(snakemake.wildcards.figure, config, snakemake.params.run, Path(snakemake.output[0]))
