rule survey_controls:
    input:
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=pool_files,
        data=user_data_files,
    output:
        tables=[
            f"{RUN}/survey/{{dataset}}/{controls.name_of('{network}', control)}.parquet"
            for control in controls.with_own_features(CONFIG)
        ],
    log:
        f"{RUN}/logs/survey_controls/{{dataset}}.{{network}}.log",
    benchmark:
        f"{RUN}/benchmarks/survey_controls.{{dataset}}.{{network}}.tsv"
    priority: 45
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        fingerprint=fingerprint("survey_controls"),
    script:
        "../scripts/survey_controls.py"
