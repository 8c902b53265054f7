def training_images(wildcards):
    return rendered(dataset_name(wildcards), "train") if network_of(wildcards).training else []


def own_files(wildcards):
    """Files of the user's that a network is made from."""
    spec = network_of(wildcards)
    factory = spec.factory.rsplit(":", 1)[0]
    return [path for path in (factory, spec.weights) if path and Path(path).is_file()]


rule network:
    input:
        checked=ancient(f"{RUN}/checked.tsv"),
        images=lambda wildcards: rendered(dataset_name(wildcards), "test"),
        training=training_images,
        own=own_files,
    output:
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        card=f"{RUN}/networks/{{network}}/card.json",
    log:
        f"{RUN}/logs/networks/{{network}}.log",
    benchmark:
        f"{RUN}/benchmarks/network.{{network}}.tsv"
    params:
        network=network_of,
        dataset=source_of,
        folder=f"{RUN}/datasets",
        compute=PROCESS,
        seed=CONFIG.seed,
        code=lambda wildcards: network_code("network.py", wildcards),
    threads: CONFIG.compute.threads
    priority: 80
    script:
        "../scripts/network.py"
