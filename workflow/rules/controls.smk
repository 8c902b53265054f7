use rule survey as survey_control with:
    output:
        table=f"{RUN}/survey/{{dataset}}/{{network}}~{{control}}.parquet",
    log:
        f"{RUN}/logs/survey/{{dataset}}.{{network}}~{{control}}.log",
    benchmark:
        f"{RUN}/benchmarks/survey.{{dataset}}.{{network}}~{{control}}.tsv"
    priority: 45
    params:
        compute=as_param(replace(FORWARD, compile=False)),
        seed=CONFIG.seed,
        code=lambda wildcards: network_code("survey.py", wildcards, CONTROLS[wildcards.control]),


# A rule each: which tables there are depends on the control.
for _control in CONFIG.controls:

    rule:
        name:
            control_rule(_control)
        input:
            samples=lambda wildcards: ancient(samples_path(dataset_name(wildcards))),
            weights=f"{RUN}/networks/{{network}}/weights.safetensors",
            survey=control_survey,
            images=lambda wildcards: made_files(dataset_name(wildcards), "test"),
            perturbations=lambda wildcards: [
                f"{RUN}/perturbations/{dataset_name(wildcards)}/{family}/{wildcards.shard}.zarr.zip"
                for family in controls.families(CONFIG, wildcards.control)
            ],
        output:
            [
                f"{RUN}/metrics/{{network}}~{{control,{re.escape(_control)}}}/{probe}/{{shard}}.parquet"
                for probe in controls.measured_by(CONFIG, _control)
            ],
        log:
            f"{RUN}/logs/measure_control/{{network}}~{{control}}.{{shard}}.log",
        benchmark:
            f"{RUN}/benchmarks/measure_control.{{network}}~{{control}}.{{shard}}.tsv"
        priority: 45
        conda:
            "../../envs/environment.yaml"
        threads: CONFIG.compute.threads
        params:
            network=as_param(network_of),
            dataset=as_param(source_of),
            folder=FOLDER / "datasets",
            ball=as_param(CONFIG.ball),
            # Another network around each sample would be compiled each time.
            compute=as_param(replace(CONFIG.compute, compile=False)),
            mantel_permutations=CONFIG.mantel_permutations,
            seed=CONFIG.seed,
            user_code=user_code,
            rows=rows_digest,
            code=control_code,
            upstream=control_upstream,
        script:
            "../scripts/measure_control.py"
