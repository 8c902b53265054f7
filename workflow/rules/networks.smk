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
        network=tracked(network_of),
    script:
        "../scripts/fetch.py"


rule network:
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
        f"{RUN}/logs/networks/{{network}}.log",
    benchmark:
        f"{RUN}/benchmarks/network.{{network}}.tsv"
    priority: 80
    conda:
        "../../envs/environment.yaml"
    threads: network_threads
    params:
        network=tracked(network_of),
        dataset=tracked(source_of),
        folder=FOLDER / "datasets",
        compute=tracked(lambda wildcards: replace(PROCESS, threads=network_threads(wildcards))),
        seed=CONFIG.seed,
        code=lambda wildcards: network_code("network.py", wildcards),
        upstream=images_made,
    script:
        "../scripts/network.py"
