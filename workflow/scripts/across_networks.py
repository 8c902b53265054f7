"""Relate local properties to the smallest adversarial distance, from network to network."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    import pandas as pd
    from epsball.analysis.across_networks import across_networks
    from epsball.analysis.properties import properties
    from epsball.analysis.run import Run
    from epsball.runs import files
    from epsball.stages.studied import studied

    run = Run(config, config.folder)
    collected = {dataset: properties(run, dataset) for dataset in studied(config)}
    related = {dataset: across_networks(table, seed=config.seed) for dataset, table in collected.items()}
    for tables, path in ((collected, snakemake.output.properties), (related, snakemake.output.table)):
        files.write_table(Path(path), pd.concat(tables, names=["dataset"]).reset_index("dataset"))
