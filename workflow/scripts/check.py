"""Check configuration, datasets and networks before any computing."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball import files
from epsball.check import check
from epsball.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0]):
    [config] = snakemake.params.config
    table = check(config, snakemake.params.folder)
    files.write_table(Path(snakemake.output.table), table)
