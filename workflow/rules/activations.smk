rule activate:
    input:
        samples=lambda wildcards: ancient(samples_path(dataset_name(wildcards))),
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=lambda wildcards: rendered(dataset_name(wildcards), "test"),
    output:
        store=f"{RUN}/activations/{{network}}/{{family}}/{{shard}}.zarr.zip",
    log:
        f"{RUN}/logs/activate/{{network}}.{{family}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/activate.{{network}}.{{family}}.{{shard}}.tsv"
    params:
        network=network_of,
        dataset=source_of,
        folder=f"{RUN}/datasets",
        ball=CONFIG.ball,
        compute=CONFIG.compute,
        rows=rows_digest,
        code=lambda wildcards: network_code("activate.py", wildcards, FAMILIES[wildcards.family]),
    threads: CONFIG.compute.threads
    priority: 60
    script:
        "../scripts/activate.py"
