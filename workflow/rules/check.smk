# Mistakes are found before any computing: everything waits for this, and nothing is redone because of it.
rule check:
    output:
        table=f"{RUN}/checked.tsv",
    log:
        f"{RUN}/logs/check.log",
    priority: 100
    conda:
        "../../envs/environment.yaml"
    params:
        config=tracked(CONFIG),
        folder=FOLDER / "datasets",
        code=code("check.py", *networks.SOURCES.values(), *KINDS.values()),
    script:
        "../scripts/check.py"


rule render:
    input:
        checked=ancient(f"{RUN}/checked.tsv"),
    output:
        images=f"{RUN}/datasets/{{dataset}}/{{split}}.npz",
    log:
        f"{RUN}/logs/render/{{dataset}}.{{split}}.log",
    priority: 90
    conda:
        "../../envs/environment.yaml"
    params:
        dataset=tracked(source_of),
        code=code("render.py"),
    script:
        "../scripts/render.py"
