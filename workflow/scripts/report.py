"""Write the report."""

from pathlib import Path

from epsball.runs.job import job
from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.reporting.report import report
    from epsball.runs import files

    page = report(config, Path("results", config.run), snakemake.params.captions)
    files.write_text(Path(snakemake.output.page), page)
