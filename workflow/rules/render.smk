rule render:
    output:
        images=f"{RUN}/datasets/{{dataset}}/{{split}}.npz",
    log:
        f"{RUN}/logs/render/{{dataset}}.{{split}}.log",
    priority: 90
    conda:
        "../../envs/environment.yaml"
    params:
        fingerprint=fingerprint("render"),
        versions=versions_for("render", f"{RUN}/datasets/{{dataset}}/{{split}}.npz"),
    script:
        "../scripts/render.py"
