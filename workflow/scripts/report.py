"""Write the report."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.reporting.report import report
    from epsball.runs import files

    files.write_text(Path(snakemake.output.page), report(config, config.folder, snakemake.params.captions))
