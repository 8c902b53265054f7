rule illustrate:
    input:
        samples=f"{RUN}/samples/{{dataset}}.csv",
        images=pool_files,
        weights=lambda wildcards: [
            f"{RUN}/networks/{network.name}/weights.safetensors" for network in CONFIG.networks_of(wildcards.dataset)
        ],
        activations=lambda wildcards: [
            f"{RUN}/activations/{network.name}/permuted/{shard}.zarr.zip"
            for network in CONFIG.networks_of(wildcards.dataset)
            for shard in shards_of(wildcards.dataset)
        ],
    output:
        picture=f"{RUN}/illustrations/{{dataset}}.npz",
    log:
        f"{RUN}/logs/illustrate/{{dataset}}.log",
    priority: 60
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        fingerprint=fingerprint("illustrate"),
        versions=versions_for("illustrate", f"{RUN}/illustrations/{{dataset}}.npz"),
    script:
        "../scripts/illustrate.py"
