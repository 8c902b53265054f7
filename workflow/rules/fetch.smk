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
        fingerprint=fingerprint("fetch"),
    script:
        "../scripts/fetch.py"
