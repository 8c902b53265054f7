"""Measure the probes that read stores on a shard."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from epsball.perturbations import families
    from epsball.probes import Context, family_of, on_failure, stored_probes
    from epsball.probes.normalisers import read_scales
    from epsball.runs import files, gaps
    from epsball.stages.measure import measure
    from epsball.stages.select import read_shard

    paths = snakemake.input
    activations, perturbations = (
        {path.parent.name: path for path in map(Path, stores)} for stores in (paths.activations, paths.perturbations)
    )
    rows = read_shard(paths.samples, int(snakemake.wildcards.shard), snakemake.wildcards.network)
    context = Context(read_scales(Path(paths.survey)), config.mantel_permutations)
    asked = stored_probes(config, snakemake.wildcards.network)
    for path in map(Path, snakemake.output.tables):
        probe = path.parent.name
        if probe not in asked:
            files.write_table(path, gaps.gap(gaps.LEFT_OUT))
            continue
        name = family_of(probe)
        ball = families.ball(config.ball, name)
        with gaps.collected([probe], on_failure(config, probe)) as tables:
            tables[probe] = measure(probe, rows, activations[name], perturbations[name], ball, context)
        files.write_table(path, tables[probe])
