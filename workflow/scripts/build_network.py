"""Build or train a network, and write its weights and card."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.data import open_pool
    from epsball.networks import forward
    from epsball.stages.build_network import build_network

    network = config.networks[snakemake.wildcards.network]
    dataset, folder = config.datasets[network.dataset].source, config.folder / "datasets" / network.dataset
    compute = config.building(network)
    forward.configure(compute)
    build_network(
        network,
        open_pool(dataset, folder),
        open_pool(dataset, folder, "train") if network.training else None,
        compute,
        config.seed,
        Path(snakemake.output.weights),
        Path(snakemake.output.card),
        snakemake.params.since,
        snakemake.params.fingerprint,
    )
