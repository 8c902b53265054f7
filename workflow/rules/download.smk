rule download:
    output:
        note=f"{RUN}/datasets/{{dataset}}/downloaded.txt",
    log:
        f"{RUN}/logs/download/{{dataset}}.log",
    priority: 90
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        fingerprint=fingerprint("download"),
    script:
        "../scripts/download.py"
