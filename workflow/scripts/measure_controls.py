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
    from epsball.probes import Context, chosen_probes
    from epsball.probes.normalisers import read_scales
    from epsball.runs import files, gaps
    from epsball.stages.measure_controls import measure_control
    from epsball.stages.select import read_shard

    paths, network = snakemake.input, config.networks[snakemake.wildcards.network]
    compute = replace(config.compute, compile=False)  # another network around each sample would be compiled each time
    forward.configure(compute)
    samples = read_shard(paths.samples, int(snakemake.wildcards.shard))
    pool = open_pool(config.datasets[network.dataset].source, config.folder / "datasets" / network.dataset)
    asked, measured = controls.chosen_controls(config, network.name), chosen_probes(config, network.name)
    surveys = {Path(path).stem: path for path in (paths.survey, *paths.control_surveys)}
    for path in map(Path, snakemake.output.tables):
        if path.parts[-3].partition("~")[2] not in asked or path.parent.name not in measured:
            files.write_table(path, gaps.gap(gaps.LEFT_OUT))
    for control in asked:
        name = controls.name_of(network.name, control)
        outputs = {path.parent.name: path for path in map(Path, snakemake.output.tables) if path.parts[-3] == name}
        outputs = {probe: path for probe, path in outputs.items() if probe in measured}
        made_by = f"{snakemake.params.made_by[control]}, samples {snakemake.params.rows}"
        if all(files.restore_table(path, made_by) for path in outputs.values()):
            continue
        surveyed = surveys.get(name, paths.survey)
        with gaps.collected(outputs, config.on_failure) as tables:
            gaps.require(Path(surveyed))
            restored = model.restore(network, Path(paths.weights))
            made = controls.of(control, restored, pool, config.seed, network.name)
            measured_tables = measure_control(
                forward.Forward(made, compute),
                list(outputs),
                samples,
                pool,
                {path.parent.name: path for path in map(Path, paths.perturbations)},
                config.ball,
                compute,
                Context(*read_scales(surveyed), config.mantel_permutations),
                name,
            )
            tables.update(measured_tables)
        for probe, path in outputs.items():
            files.write_table(path, tables[probe], made_by)
            files.retain(path)
