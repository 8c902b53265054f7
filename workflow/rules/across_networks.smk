rule across_networks:
    input:
        TABLES,
        SAMPLES,
        SURVEYS,
    output:
        table=f"{RUN}/across_networks.tsv",
        properties=f"{RUN}/properties.csv",
    log:
        f"{RUN}/logs/across_networks.log",
    priority: 30
    conda:
        "../../envs/environment.yaml"
    resources:
        in_group=1,
    params:
        fingerprint=fingerprint("across_networks"),
        versions=versions_for("across_networks", f"{RUN}/across_networks.tsv"),
    script:
        "../scripts/across_networks.py"
