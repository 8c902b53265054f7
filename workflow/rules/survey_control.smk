rule survey_control:
    input:
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=pool_files,
    output:
        table=f"{RUN}/survey/{{dataset}}/{{network}}~{{control}}.parquet",
        features=f"{RUN}/survey/{{dataset}}/{{network}}~{{control}}.features.parquet",
    log:
        f"{RUN}/logs/survey_control/{{dataset}}.{{network}}~{{control}}.log",
    benchmark:
        f"{RUN}/benchmarks/survey_control.{{dataset}}.{{network}}~{{control}}.tsv"
    priority: 45
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        given=user_data_files,
        fingerprint=fingerprint("survey_control"),
        versions=versions_for("survey_control", f"{RUN}/survey/{{dataset}}/{{network}}~{{control}}.parquet"),
    script:
        "../scripts/survey_control.py"
