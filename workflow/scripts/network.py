"""Build a network, train it where it is to be trained, and write its weights and card."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball import forward
from epsball.datasets import open_pool
from epsball.job import job
from epsball.preparation import prepare

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0]):
    forward.configure(snakemake.params.compute)
    spec, dataset = snakemake.params.network, snakemake.params.dataset
    folder = snakemake.params.folder / dataset.name
    prepare(
        spec,
        open_pool(dataset, folder),
        open_pool(dataset, folder, "train") if spec.training else None,
        snakemake.params.compute,
        snakemake.params.seed,
        Path(snakemake.output.weights),
        Path(snakemake.output.card),
    )
