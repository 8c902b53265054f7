"""Build a network, train it where it is to be trained, and write its weights and card."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.data import open_pool
    from epsball.networks import forward
    from epsball.stages.build_network import prepare

    [network] = snakemake.params.network
    [dataset] = snakemake.params.dataset
    [compute] = snakemake.params.compute
    forward.configure(compute)
    folder = snakemake.params.folder / dataset.name
    prepare(
        network,
        open_pool(dataset, folder),
        open_pool(dataset, folder, "train") if network.training else None,
        compute,
        snakemake.params.seed,
        Path(snakemake.output.weights),
        Path(snakemake.output.card),
    )
