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
    forward.configure(config.compute)
    stores = list(map(Path, snakemake.input.activations))
    networks = {
        path.parent.name: (path, [store for store in stores if store.parts[-3] == path.parent.name])
        for path in map(Path, snakemake.input.weights)
    }
    samples = read_samples(snakemake.input.samples)
    pool = open_pool(dataset, config.folder / "datasets" / dataset.name)
    illustrate(config, networks, samples, pool, Path(snakemake.output.picture))
