"""Check configuration, datasets and networks before any computing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from epsball import store
from epsball.check import check
from epsball.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0]):
    table = check(snakemake.params.config, Path(snakemake.params.folder))
    store.write_table(Path(snakemake.output.table), table)
