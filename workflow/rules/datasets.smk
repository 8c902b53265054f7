rule render:
    output:
        images=f"{RUN}/datasets/{{dataset}}/{{split}}.npz",
    log:
        f"{RUN}/logs/render/{{dataset}}.{{split}}.log",
    priority: 90
    conda:
        "../../envs/environment.yaml"
    params:
        dataset=as_param(source_of),
        code=code("render.py"),
    script:
        "../scripts/render.py"


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
        dataset=as_param(source_of),
    script:
        "../scripts/download.py"
