"""Draw the figures of a run."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.config import load_config
    from epsball.reporting.figures import draw, names

    config = load_config(snakemake.config)
    run = Path("results", config.run)
    for name in names(config):
        draw(name, config, run, run / "figures" / f"{name}.png")
