rule survey:
    input:
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=pool_files,
    output:
        table=f"{RUN}/survey/{{dataset}}/{{network}}.parquet",
        features=f"{RUN}/survey/{{dataset}}/{{network}}.features.parquet",
    log:
        f"{RUN}/logs/survey/{{dataset}}.{{network}}.log",
    benchmark:
        f"{RUN}/benchmarks/survey.{{dataset}}.{{network}}.tsv"
    priority: 70
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        given=user_data_files,
        fingerprint=fingerprint("survey"),
        versions=versions_for("survey", f"{RUN}/survey/{{dataset}}/{{network}}.parquet"),
        since=lambda wildcards: GIVEN.since("datasets", wildcards.dataset),
    script:
        "../scripts/survey.py"
