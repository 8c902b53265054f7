"""Measure the controls of a network on a shard."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from dataclasses import replace

    from epsball import controls
    from epsball.data import open_pool
    from epsball.networks import forward, model
    from epsball.probes import Context
    from epsball.probes.normalisers import read_scales
    from epsball.runs import files
    from epsball.stages.measure_controls import measure_control
    from epsball.stages.select import read_shard

    paths, network = snakemake.input, config.networks[snakemake.wildcards.network]
    compute = replace(config.compute, compile=False)  # another network around each sample would be compiled each time
    forward.configure(compute)
    samples = read_shard(paths.samples, int(snakemake.wildcards.shard))
    pool = open_pool(config.datasets[network.dataset].source, config.folder / "datasets" / network.dataset)
    surveys = {Path(path).stem: path for path in paths.surveys}
    drawn = {path.parent.name: path for path in map(Path, paths.perturbations)}
    for control in config.controls:
        name = controls.name_of(network.name, control)
        outputs = {path.parent.name: path for path in map(Path, snakemake.output.tables) if path.parts[-3] == name}
        made_by = f"{snakemake.params.made_by[control]}, samples {snakemake.params.rows}"
        if all(files.restore_table(path, made_by) for path in outputs.values()):
            continue
        made = controls.of(control, model.restore(network, Path(paths.weights)), pool, config.seed)
        passes = forward.Forward(made, compute)
        context = Context(*read_scales(surveys.get(name, surveys[network.name])), config.mantel_permutations)
        tables = measure_control(passes, list(outputs), samples, pool, drawn, config.ball, compute, context, name)
        for probe, path in outputs.items():
            files.write_table(path, tables[probe], made_by)
            files.retain(path)
