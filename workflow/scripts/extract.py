"""Pass the perturbed images of a shard through a network."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.config import load_config
    from epsball.data import open_pool
    from epsball.networks import forward, weights
    from epsball.runs import files, provenance
    from epsball.stages.extract import extract
    from epsball.stages.select import read_samples, shard_rows

    [network] = snakemake.params.network
    [dataset] = snakemake.params.dataset
    [ball] = snakemake.params.ball
    [compute] = snakemake.params.compute
    params, wildcards = snakemake.params, snakemake.wildcards
    forward.configure(compute)
    path = Path(snakemake.input.weights)
    passes = forward.Forward(weights.restore(network, path), compute)
    extract(
        wildcards.family,
        passes,
        shard_rows(read_samples(snakemake.input.samples), int(wildcards.shard)),
        open_pool(dataset, params.folder / dataset.name),
        ball,
        compute,
        Path(snakemake.output.store),
        provenance.attributes(
            dataset=dataset, ball=(ball.norm, ball.clip, ball.noise), network=network, compute=compute
        )
        | {
            "code": params.code,
            "network": wildcards.network,
            "network_digest": weights.digest(path),
            "user_code": params.user_code,
            "device": passes.device,
        },
    )
    if load_config(snakemake.config).keep_activations:
        files.retain(Path(snakemake.output.store))
    else:
        files.previous(Path(snakemake.output.store)).unlink(missing_ok=True)
