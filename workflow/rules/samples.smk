rule survey:
    input:
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=lambda wildcards: made_files(dataset_name(wildcards), "test"),
        data=data_files,
    output:
        table=f"{RUN}/survey/{{dataset}}/{{network}}.parquet",
    log:
        f"{RUN}/logs/survey/{{dataset}}.{{network}}.log",
    benchmark:
        f"{RUN}/benchmarks/survey.{{dataset}}.{{network}}.tsv"
    priority: 70
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        network=as_param(network_of),
        dataset=as_param(lambda wildcards: replace(source_of(wildcards), limit=dataset_of(wildcards).limit)),
        folder=FOLDER / "datasets",
        compute=as_param(FORWARD),
        user_code=user_code,
        code=lambda wildcards: network_code("survey.py", wildcards),
        upstream=lambda wildcards: fingerprint("build_network", network=wildcards.network),
    script:
        "../scripts/survey.py"


checkpoint select:
    input:
        surveys=lambda wildcards: [
            f"{RUN}/survey/{wildcards.dataset}/{network.name}.parquet"
            for network in CONFIG.networks_of(wildcards.dataset)
        ],
    output:
        samples=f"{RUN}/samples/{{dataset}}.csv",
    log:
        f"{RUN}/logs/select/{{dataset}}.log",
    priority: 70
    conda:
        "../../envs/environment.yaml"
    params:
        dataset=as_param(dataset_of),
        networks=lambda wildcards: [network.name for network in CONFIG.networks_of(wildcards.dataset)],
        seed=CONFIG.seed,
        shard_size=CONFIG.shard_size,
        code=code("select.py"),
        upstream=lambda wildcards: [
            fingerprint("survey", dataset=wildcards.dataset, network=network.name)
            for network in CONFIG.networks_of(wildcards.dataset)
        ],
    script:
        "../scripts/select.py"


rule perturb:
    input:
        samples=lambda wildcards: ancient(samples_path(wildcards.dataset)),
        images=lambda wildcards: made_files(dataset_name(wildcards), "test"),
    output:
        store=f"{RUN}/perturbations/{{dataset}}/{{family}}/{{shard}}.zarr.zip",
    log:
        f"{RUN}/logs/perturb/{{dataset}}.{{family}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/perturb.{{dataset}}.{{family}}.{{shard}}.tsv"
    priority: 50
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        dataset=as_param(source_of),
        folder=FOLDER / "datasets",
        ball=as_param(ball_of),
        rows=rows_digest,
        compute=as_param(PROCESS),
        code=lambda wildcards: dataset_code("perturb.py", wildcards, FAMILIES[wildcards.family]),
        upstream=images_made,
    script:
        "../scripts/perturb.py"
