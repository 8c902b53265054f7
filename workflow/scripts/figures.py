"""Draw the figures of a run."""

from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.reporting.figures import draw_all

    draw_all(config, config.folder, config.folder / "figures", snakemake.threads)
