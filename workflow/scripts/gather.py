"""Join the parts of a network's tables."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball import files
    from epsball.measurement import gather
    from epsball.selection import read_samples

    for output in map(Path, snakemake.output):
        parts = [path for path in map(Path, snakemake.input.parts) if path.parent == output.with_suffix("")]
        files.write_table(output, gather(parts, read_samples(snakemake.input.samples)))
