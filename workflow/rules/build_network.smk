def training_images(wildcards):
    return made_files(dataset_name(wildcards), "train") if CONFIG.networks[wildcards.network].training else []


def user_network_files(wildcards):
    """List the user's files that a network is made from."""
    spec = CONFIG.networks[wildcards.network]
    weights = [spec.weights] if spec.weights and Path(spec.weights).is_file() else []
    return [*map(str, sources.own_files(spec)), *weights]


def published_weights(wildcards):
    fetched = sources.fetches(CONFIG.networks[wildcards.network])
    return [f"{RUN}/networks/{wildcards.network}/published.txt"] if fetched else []


rule build_network:
    input:
        images=pool_files,
        training=training_images,
        own=user_network_files,
        published=published_weights,
    output:
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        card=f"{RUN}/networks/{{network}}/card.json",
    log:
        f"{RUN}/logs/build_network/{{network}}.log",
    benchmark:
        f"{RUN}/benchmarks/build_network.{{network}}.tsv"
    priority: 80
    conda:
        "../../envs/environment.yaml"
    threads: lambda wildcards: CONFIG.building(CONFIG.networks[wildcards.network]).threads
    params:
        fingerprint=fingerprint("build_network"),
    script:
        "../scripts/build_network.py"
