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
    from epsball.runs import files, gaps, provenance
    from epsball.stages.measure_controls import measure_control
    from epsball.stages.select import read_shard

    paths, network = snakemake.input, config.networks[snakemake.wildcards.network]
    compute = replace(config.compute, compile=False)  # another network around each sample would be compiled each time
    forward.configure(compute)
    samples = read_shard(paths.samples, int(snakemake.wildcards.shard), network.name)
    pool = open_pool(config.datasets[network.dataset].source, config.folder / "datasets" / network.dataset)
    surveys = {Path(path).stem: Path(path) for path in paths.surveys}
    drawn = {path.parent.name: path for path in map(Path, paths.perturbations)}
    made_with = provenance.in_words(snakemake.params.versions)
    parts: dict[str, dict[str, Path]] = {}
    for path in map(Path, snakemake.output.tables):
        parts.setdefault(path.parts[-3].partition("~")[2], {})[path.parent.name] = path
    for control, outputs in parts.items():
        name = controls.name_of(network.name, control)
        for probe in outputs.keys() - set(measured := controls.measured_by(config, control, network.name)):
            files.write_table(outputs.pop(probe), gaps.gap(gaps.LEFT_OUT))
        made_by = f"{snakemake.params.made_by.get(control)}, samples {snakemake.params.rows}, {made_with}"
        if all(files.restore_table(path, made_by) for path in outputs.values()):
            continue
        with gaps.collected(outputs, config.on_failure) as tables:
            gaps.require(surveyed := surveys.get(name, surveys[network.name]))
            restored = model.restore(network, Path(paths.weights))
            passes = forward.Forward(controls.of(control, restored, pool, config.seed, network.name), compute)
            context = Context(read_scales(surveyed), config.mantel_permutations)
            tables.update(measure_control(passes, measured, samples, pool, drawn, config.ball, compute, context, name))
        for probe, path in outputs.items():
            files.write_table(path, tables[probe], made_by)
            files.retain(path)
