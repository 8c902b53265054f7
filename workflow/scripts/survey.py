"""Pass a network over its dataset's pool."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball import controls
    from epsball.data import open_pool
    from epsball.networks import forward, weights
    from epsball.runs import files
    from epsball.stages.survey import survey

    [network] = snakemake.params.network
    [dataset] = snakemake.params.dataset
    [compute] = snakemake.params.compute
    forward.configure(compute)
    name, control = snakemake.wildcards.network, snakemake.wildcards.get("control")
    restored = weights.restore(network, Path(snakemake.input.weights))
    pool = open_pool(dataset, snakemake.params.folder / dataset.name)
    if control:
        surveyed = controls.of(control, restored, pool, snakemake.params.seed)
        name = controls.name_of(name, control)
    else:
        surveyed = restored
    table = survey(forward.Forward(surveyed, compute), pool, compute.batch, name)
    files.write_table(Path(snakemake.output.table), table)
