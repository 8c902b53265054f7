"""Measure the controls of a network on a shard."""

from pathlib import Path

from epsball.runs.job import job
from snakemake.script import snakemake

with job(snakemake) as config:
    from dataclasses import replace

    import pandas as pd
    from epsball import controls
    from epsball.data import open_pool
    from epsball.networks import forward, weights
    from epsball.probes import Context
    from epsball.probes.normalisers import scales
    from epsball.runs import files
    from epsball.stages.measure_controls import measure_control
    from epsball.stages.select import read_samples, shard_rows

    paths, wildcards = snakemake.input, snakemake.wildcards
    network = config.networks[wildcards.network]
    compute = replace(config.compute, compile=False)  # another network around each sample would be compiled each time
    forward.configure(compute)
    dataset = config.datasets[network.dataset].source
    pool = open_pool(dataset, Path("results", config.run, "datasets", dataset.name))
    rows = shard_rows(read_samples(paths.samples), int(wildcards.shard))
    surveys = {Path(path).stem: path for path in (paths.survey, *paths.control_surveys)}
    for control in config.controls:
        name = controls.name_of(network.name, control)
        outputs = {path.parent.name: path for path in map(Path, snakemake.output.tables) if path.parts[-3] == name}
        made_by = f"{snakemake.params.made_by[control]}, samples {snakemake.params.rows}"
        if all(files.restore_table(path, made_by) for path in outputs.values()):
            continue
        restored = weights.restore(network, Path(paths.weights))
        tables = measure_control(
            forward.Forward(controls.of(control, restored, pool, config.seed), compute),
            list(outputs),
            rows,
            pool,
            {path.parent.name: path for path in map(Path, paths.perturbations)},
            config.ball,
            compute,
            Context(*scales(pd.read_parquet(surveys.get(name, paths.survey))), config.mantel_permutations),
            name,
        )
        for probe, path in outputs.items():
            files.write_table(path, tables[probe], made_by)
            files.retain(path)
