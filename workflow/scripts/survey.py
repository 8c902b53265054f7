"""Pass a network over its dataset's pool."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball import controls, files, forward, weights
from epsball.datasets import open_pool
from epsball.job import job
from epsball.survey import survey

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    [network] = snakemake.params.network
    [dataset] = snakemake.params.dataset
    [compute] = snakemake.params.compute
    forward.configure(compute)
    name = snakemake.wildcards.network
    restored = weights.restore(network, Path(snakemake.input.weights))
    passes = forward.Forward(restored, compute)
    pool = open_pool(dataset, snakemake.params.folder / dataset.name)
    if control := snakemake.wildcards.get("control"):
        passes = forward.Forward(controls.of(control, restored, pool, snakemake.params.seed), compute)
        name = controls.name_of(name, control)
    table = survey(passes, pool, compute.batch, name)
    files.write_table(Path(snakemake.output.table), table)
