"""Pass the perturbed images of a shard through a network, family by family."""

from pathlib import Path
from typing import TYPE_CHECKING

from epsball.runs.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake) as config:
    from dataclasses import replace

    from epsball.data import open_pool
    from epsball.networks import forward, model, sources, weights
    from epsball.perturbations import families
    from epsball.probes import families as families_read
    from epsball.runs import files, files_read, provenance
    from epsball.stages.extract import extract
    from epsball.stages.select import read_samples, shard_rows

    network = config.networks[snakemake.wildcards.network]
    dataset, ball, compute = config.datasets[network.dataset].source, config.ball, config.compute
    forward.configure(compute)
    kept = Path(snakemake.input.weights)
    passes = forward.Forward(model.restore(network, kept), compute)
    pool = open_pool(dataset, config.folder / "datasets" / dataset.name)
    selected = read_samples(snakemake.input.samples, network.name)
    scores = selected[["sample", f"score_{network.name}"]]
    rows = shard_rows(selected, int(snakemake.wildcards.shard)).merge(scores, on="sample")
    drawn = (ball.norm, ball.clip, ball.noise)
    rounding = replace(compute, float64_draws=0)  # what passes in float64, a store itself says
    facts = {"dataset": dataset, "ball": drawn, "network": network, "compute": rounding}
    made_by = provenance.attributes(snakemake.params.versions, **facts)
    made_by |= {"network": network.name, "device": passes.device, "files_read": files_read.digest(kept.parent)}
    made_by |= {"network_digest": weights.digest(kept), "user_code": sources.files_digest(network)}
    asked = families_read(config, network.name)
    for path in map(Path, snakemake.output.stores):
        family = path.parent.name
        if family not in asked:
            files.write_text(path, "")  # no probe of this network reads it
            continue
        by_code = made_by | {"code": snakemake.params.code[family]}
        extract(family, passes, rows, pool, families.ball(ball, family), compute, path, by_code)
        if config.keep_activations:
            files.retain(path)
        else:
            files.previous(path).unlink(missing_ok=True)
