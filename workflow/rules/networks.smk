rule fetch:
    output:
        note=f"{RUN}/networks/{{network}}/published.txt",
    log:
        f"{RUN}/logs/fetch/{{network}}.log",
    priority: 90
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        network=as_param(network_of),
    script:
        "../scripts/fetch.py"


rule build_network:
    input:
        images=lambda wildcards: made_files(dataset_name(wildcards), "test"),
        training=training_images,
        own=own_files,
        published=lambda wildcards: (
            [f"{RUN}/networks/{wildcards.network}/published.txt"] if sources.fetches(network_of(wildcards)) else []
        ),
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
    threads: network_threads
    params:
        network=as_param(network_of),
        dataset=as_param(source_of),
        folder=FOLDER / "datasets",
        compute=as_param(lambda wildcards: replace(PROCESS, threads=network_threads(wildcards))),
        seed=CONFIG.seed,
        code=lambda wildcards: network_code("build_network.py", wildcards),
        upstream=images_made,
    script:
        "../scripts/build_network.py"
