"""Choose and draw what Fig. 2 shows of a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.data import open_pool
    from epsball.networks import forward
    from epsball.stages.illustrate import illustrate
    from epsball.stages.select import read_samples

    dataset = config.datasets[snakemake.wildcards.dataset].source
    networks = config.networks_of(dataset.name)
    forward.configure(config.compute)
    stores = list(map(Path, snakemake.input.activations))
    illustrate(
        networks,
        dict(zip((network.name for network in networks), map(Path, snakemake.input.weights), strict=True)),
        {network.name: [path for path in stores if path.parts[-3] == network.name] for network in networks},
        read_samples(snakemake.input.samples),
        open_pool(dataset, config.folder / "datasets" / dataset.name),
        config.ball,
        config.compute,
        config.illustration_grid,
        Path(snakemake.output.picture),
    )
