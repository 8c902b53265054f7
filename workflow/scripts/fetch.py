"""Download a network's published weights."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.networks import model
    from epsball.runs import files

    network = config.networks[snakemake.wildcards.network]
    files.write_text(Path(snakemake.output.note), f"{model.fetch(network) or network.factory}\n")
