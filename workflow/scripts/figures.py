"""Draw the figures of a run."""

from pathlib import Path

from epsball.runs.job import job
from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.reporting.figures import draw, names

    run = Path("results", config.run)
    for name in names(config):
        draw(name, config, run, run / "figures" / f"{name}.png")
