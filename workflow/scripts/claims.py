"""Judge the paper's claims."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from epsball import store
from epsball.claims import judge
from epsball.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0]):
    store.write_table(Path(snakemake.output.table), judge(snakemake.params.config, Path(snakemake.params.run)))
