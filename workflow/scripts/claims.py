"""Judge the paper's claims."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.analysis.verdicts import judge
    from epsball.config import load_config
    from epsball.runs import files

    config = load_config(snakemake.config)
    files.write_table(Path(snakemake.output.table), judge(config, Path("results", config.run)))
