checkpoint select:
    input:
        surveys=lambda wildcards: [
            f"{RUN}/survey/{wildcards.dataset}/{network.name}.parquet"
            for network in CONFIG.networks_of(wildcards.dataset)
        ],
    output:
        samples=f"{RUN}/samples/{{dataset}}.csv",
    log:
        f"{RUN}/logs/select/{{dataset}}.log",
    priority: 70
    conda:
        "../../envs/environment.yaml"
    params:
        fingerprint=fingerprint("select"),
    script:
        "../scripts/select.py"
