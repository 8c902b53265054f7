rule report:
    input:
        TABLES,
        CARDS,
        SURVEYS,
        ACROSS,
        SAMPLES,
        claims=f"{RUN}/claims.tsv",
        images=[path for dataset in DATASETS for path in made_files(dataset, "test")],
        figures=[path for path in PICTURES if path.endswith(".png")],
        panels=PANELS,
    output:
        page=report(
            f"{RUN}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"page": "the whole report"},
        ),
    log:
        f"{RUN}/logs/report.log",
    conda:
        "../../envs/environment.yaml"
    resources:
        in_group=1,
    params:
        fingerprint=fingerprint("report"),
        captions={name: caption(name) for name in map(figures.figure_of, FIGURES)},
        templates=template_digest(),
    script:
        "../scripts/report.py"
