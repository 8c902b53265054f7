rule build_network:
    input:
        made_network_files,
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
        given=user_network_files,
        fingerprint=fingerprint("build_network"),
        versions=versions_for("build_network", f"{RUN}/networks/{{network}}/card.json"),
        since=lambda wildcards: GIVEN.since("networks", wildcards.network),
    script:
        "../scripts/build_network.py"
