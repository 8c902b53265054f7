"""Write the report."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.config import load_config
    from epsball.reporting.report import report
    from epsball.runs import files

    config = load_config(snakemake.config)
    page = report(config, Path("results", config.run), snakemake.params.captions)
    files.write_text(Path(snakemake.output.page), page)
