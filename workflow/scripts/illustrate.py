"""Choose and draw what Fig. 2 shows of each dataset, and draw what the report shows of its samples."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    import pandas as pd
    from epsball.data import open_pool
    from epsball.networks import forward
    from epsball.runs import files, provenance
    from epsball.stages import report_size
    from epsball.stages.draws import make_panels
    from epsball.stages.gather import gather
    from epsball.stages.illustrate import illustrate, restore
    from epsball.stages.panels import SHOWN
    from epsball.stages.select import read_samples

    forward.configure(config.compute)
    paths, tables = snakemake.input, list(map(Path, snakemake.input.tables))
    weights = {path.parent.name: path for path in map(Path, paths.weights)}
    stores = {name: [path for path in map(Path, paths.activations) if path.parts[-3] == name] for name in weights}
    selected = {Path(path).stem: read_samples(path) for path in paths.samples}
    sizes = {name: report_size.selected(config, name, samples) for name, samples in selected.items()}
    budget, shown = report_size.estimated_budget(config, sizes), report_size.shown(config, sizes)
    for place, (name, samples) in enumerate(selected.items()):
        dataset, networks = config.datasets[name].source, [network.name for network in config.networks_of(name)]
        pool, picture = open_pool(dataset, config.folder / "datasets" / name), Path(snakemake.output.pictures[place])
        rows = provenance.digest(*samples.itertuples(index=False, name=None))
        made_by = f"{snakemake.params.made_by[name]}, samples {rows}"
        if not restore(picture, made_by):
            own = {network: (weights[network], stores[network]) for network in networks}
            illustrate(config, own, samples, pool, picture, made_by)
            files.retain(picture)
        parts = {
            (network, probe): [path for path in tables if path.parts[-3:-1] == (network, probe)]
            for network in networks
            for probe in SHOWN
        }
        found = [gather(some, samples).assign(network=network, probe=probe) for (network, probe), some in parts.items()]
        # What one leaves of its share of the budget goes to the next ones.
        share = budget // (len(selected) - place)
        panels = make_panels(samples, pool, pd.concat(found), config.ball, share, shown[name])
        budget -= panels.bytes
        panels.write(Path(snakemake.output.panels[place]))
