rule measure_controls:
    input:
        samples=lambda wildcards: ancient(samples_path(wildcards)),
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        surveys=surveys,
        features=lambda wildcards: list(map(features_path, surveys(wildcards))),
        images=pool_files,
        perturbations=perturbation_stores,
    output:
        tables=[f"{table}/{{shard}}.parquet" for table in control_tables("{network}")],
    log:
        f"{RUN}/logs/measure_controls/{{network}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/measure_controls.{{network}}.{{shard}}.tsv"
    priority: 45
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        fingerprint=fingerprint("measure_controls"),
        versions=versions_for("measure_controls", f"{control_tables('{network}')[0]}/{{shard}}.parquet"),
        rows=rows_digest,
        made_by=lambda wildcards: {
            name: FINGERPRINTS.of_control(wildcards.network, name)
            for name in controls.chosen_controls(CONFIG, wildcards.network)
        },
    script:
        "../scripts/measure_controls.py"
