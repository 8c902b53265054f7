"""Pass the perturbed images of a shard through a network."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball import forward, provenance, weights
from epsball.activation import activate
from epsball.datasets import open_pool
from epsball.job import job
from epsball.selection import read_samples, shard_rows

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0]):
    params, wildcards = snakemake.params, snakemake.wildcards
    forward.configure(params.compute)
    path = Path(snakemake.input.weights)
    passes = forward.Forward(weights.restore(params.network, path), params.compute)
    activate(
        wildcards.family,
        passes,
        shard_rows(read_samples(snakemake.input.samples), int(wildcards.shard)),
        open_pool(params.dataset, params.folder / params.dataset.name),
        params.ball,
        params.compute,
        Path(snakemake.output.store),
        provenance.attributes(dataset=params.dataset, ball=params.ball, network=params.network, compute=params.compute)
        | {"network": wildcards.network, "network_digest": weights.digest(path), "device": passes.device},
    )
