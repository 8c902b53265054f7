"""Join the parts of a network's tables."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.runs import files
    from epsball.stages.gather import gather
    from epsball.stages.select import read_samples

    samples, parts = read_samples(snakemake.input.samples), list(map(Path, snakemake.input.parts))
    for output in map(Path, snakemake.output.tables):
        own = [path for path in parts if path.parent == output.with_suffix("")]
        files.write_table(output, gather(own, samples))
