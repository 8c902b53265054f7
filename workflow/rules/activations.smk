rule extract:
    input:
        samples=lambda wildcards: ancient(samples_path(dataset_name(wildcards))),
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=lambda wildcards: made_files(dataset_name(wildcards), "test"),
    output:
        store=kept_or_temp(f"{RUN}/activations/{{network}}/{{family}}/{{shard}}.zarr.zip"),
    log:
        f"{RUN}/logs/extract/{{network}}.{{family}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/extract.{{network}}.{{family}}.{{shard}}.tsv"
    priority: 60
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        network=as_param(network_of),
        dataset=as_param(source_of),
        folder=FOLDER / "datasets",
        ball=as_param(ball_of),
        compute=as_param(CONFIG.compute),
        user_code=user_code,
        rows=rows_digest,
        code=lambda wildcards: network_code("extract.py", wildcards, FAMILIES[wildcards.family]),
        upstream=lambda wildcards: fingerprint("build_network", network=wildcards.network),
    script:
        "../scripts/extract.py"
