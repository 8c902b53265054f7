"""Build or train a network, and write its weights and card."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.data import open_pool
    from epsball.networks import forward
    from epsball.runs import files_read, provenance
    from epsball.stages.build_network import build_network

    network, output = config.networks[snakemake.wildcards.network], snakemake.output
    dataset, folder = config.datasets[network.dataset].source, config.folder / "datasets" / network.dataset
    compute = config.building(network)
    forward.configure(compute)
    with files_read.recording() as read:
        pool = open_pool(dataset, folder)
        training = open_pool(dataset, folder, "train") if network.training else None
    if dataset.kind != "factory" or training is None:
        read.clear()  # what is read to train counts for the network, and the pool for its survey
    made_with = provenance.in_words(snakemake.params.versions)  # a training that was stopped goes on with the same
    since, made_by = snakemake.params.since, f"{snakemake.params.fingerprint}, {made_with}"
    weights, card = Path(output.weights), Path(output.card)
    build_network(network, pool, training, compute, config.seed, weights, card, since, made_by, read)
