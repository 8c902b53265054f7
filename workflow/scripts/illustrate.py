"""Find the pair of perturbations of Fig. 2 and the score over the plane that they span."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    from epsball.data import open_pool
    from epsball.networks import forward
    from epsball.stages.illustrate import illustrate
    from epsball.stages.select import read_samples

    [dataset] = snakemake.params.dataset
    [ball] = snakemake.params.ball
    [compute] = snakemake.params.compute
    params = snakemake.params
    forward.configure(compute)
    names = [network.name for network in params.networks]
    stores = {name: [path for path in snakemake.input.activations if f"/{name}/permuted/" in path] for name in names}
    illustrate(
        params.networks,
        dict(zip(names, map(Path, snakemake.input.weights), strict=True)),
        {name: [Path(path) for path in paths] for name, paths in stores.items()},
        read_samples(snakemake.input.samples),
        open_pool(dataset, params.folder / dataset.name),
        ball,
        compute,
        params.grid,
        Path(snakemake.output.picture),
    )
