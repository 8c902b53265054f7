rule measure_white_box:
    input:
        samples=lambda wildcards: ancient(samples_path(wildcards)),
        survey=survey_path,
        features=lambda wildcards: features_path(survey_path(wildcards)),
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=pool_files,
    output:
        table=f"{RUN}/metrics/{{network}}/{{probe}}/{{shard}}.parquet",
    log:
        f"{RUN}/logs/measure_white_box/{{network}}.{{probe}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/measure_white_box.{{network}}.{{probe}}.{{shard}}.tsv"
    priority: 45
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        fingerprint=fingerprint("measure_white_box"),
        versions=versions_for("measure_white_box", f"{RUN}/metrics/{{network}}/{{probe}}/{{shard}}.parquet"),
        rows=rows_digest,
    script:
        "../scripts/measure_white_box.py"
