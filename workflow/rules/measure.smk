rule measure:
    input:
        samples=lambda wildcards: ancient(samples_path(wildcards)),
        survey=survey_path,
        features=lambda wildcards: features_path(survey_path(wildcards)),
        activations=[f"{RUN}/activations/{{network}}/{family}/{{shard}}.zarr.zip" for family in FAMILIES_DRAWN],
        perturbations=perturbation_stores,
    output:
        tables=[f"{RUN}/metrics/{{network}}/{probe}/{{shard}}.parquet" for probe in probes.stored_probes(CONFIG)],
    log:
        f"{RUN}/logs/measure/{{network}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/measure.{{network}}.{{shard}}.tsv"
    priority: 40
    conda:
        "../../envs/environment.yaml"
    resources:
        in_group=1,
    params:
        fingerprint=fingerprint("measure"),
        versions=versions_for(
            "measure", f"{RUN}/metrics/{{network}}/{probes.stored_probes(CONFIG)[0]}/{{shard}}.parquet"
        ),
        rows=rows_digest,
    script:
        "../scripts/measure.py"
