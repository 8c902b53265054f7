"""Judge the paper's claims."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.analysis.verdicts import judge
    from epsball.runs import files

    files.write_table(Path(snakemake.output.table), judge(config, config.folder))
