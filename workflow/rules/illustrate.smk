rule illustrate:
    input:
        samples=SAMPLES,
        images=[path for dataset in DATASETS for path in made_files(dataset, "test")],
        weights=[f"{RUN}/networks/{network}/weights.safetensors" for network in NETWORKS],
        activations=lambda wildcards: [
            f"{RUN}/activations/{network.name}/permuted/{shard}.zarr.zip"
            for network in CONFIG.networks.values()
            for shard in shards_of(network.name)
        ],
        # Not what gather makes of them, which a control or another probe makes anew.
        tables=lambda wildcards: [
            f"{RUN}/metrics/{network.name}/{probe}/{shard}.parquet"
            for network in CONFIG.networks.values()
            for shard in shards_of(network.name)
            for probe in panels.SHOWN
        ],
    output:
        pictures=ILLUSTRATIONS,
        panels=PANELS,
    log:
        f"{RUN}/logs/illustrate.log",
    priority: 60
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        fingerprint=fingerprint("illustrate"),
        made_by={dataset: FINGERPRINTS.of_illustration(dataset) for dataset in DATASETS},
        versions=versions_for("illustrate", f"{RUN}/illustrations/{DATASETS[0]}.npz"),
    script:
        "../scripts/illustrate.py"
