"""Write the report."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.reporting.report import report
    from epsball.runs import files

    [config] = snakemake.params.config
    [captions] = snakemake.params.captions
    page = report(config, snakemake.params.run, captions)
    files.write_text(Path(snakemake.output.page), page)
