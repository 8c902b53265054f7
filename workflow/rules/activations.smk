rule activate:
    input:
        samples=lambda wildcards: ancient(samples_path(dataset_name(wildcards))),
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=lambda wildcards: made_files(dataset_name(wildcards), "test"),
    output:
        store=kept_or_temp(f"{RUN}/activations/{{network}}/{{family}}/{{shard}}.zarr.zip"),
    log:
        f"{RUN}/logs/activate/{{network}}.{{family}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/activate.{{network}}.{{family}}.{{shard}}.tsv"
    priority: 60
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        network=tracked(network_of),
        dataset=tracked(source_of),
        folder=FOLDER / "datasets",
        ball=tracked(ball_of),
        compute=tracked(CONFIG.compute),
        own_code=own_code,
        rows=rows_digest,
        code=lambda wildcards: network_code("activate.py", wildcards, FAMILIES[wildcards.family]),
        upstream=lambda wildcards: made("network", network=wildcards.network),
    script:
        "../scripts/activate.py"
