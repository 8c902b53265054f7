# Mistakes are found before any computing: everything waits for this, and nothing is redone because of it.
rule check:
    output:
        table=f"{RUN}/checked.tsv",
    log:
        f"{RUN}/logs/check.log",
    params:
        config=CONFIG,
        folder=f"{RUN}/datasets",
        code=code("check.py", *networks.SOURCES.values(), *KINDS.values()),
    priority: 100
    script:
        "../scripts/check.py"


rule render:
    input:
        checked=ancient(f"{RUN}/checked.tsv"),
    output:
        images=f"{RUN}/datasets/{{dataset}}/{{split}}.npz",
    log:
        f"{RUN}/logs/render/{{dataset}}.{{split}}.log",
    params:
        dataset=source_of,
        code=code("render.py"),
    priority: 90
    script:
        "../scripts/render.py"
