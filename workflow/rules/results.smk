rule illustrate:
    input:
        samples=f"{RUN}/samples/{{dataset}}.csv",
        images=lambda wildcards: made_files(dataset_name(wildcards), "test"),
        weights=lambda wildcards: [
            f"{RUN}/networks/{network.name}/weights.safetensors" for network in CONFIG.networks_of(wildcards.dataset)
        ],
        activations=lambda wildcards: [
            f"{RUN}/activations/{network.name}/permuted/{shard}.zarr.zip"
            for network in CONFIG.networks_of(wildcards.dataset)
            for shard in shards_of(wildcards.dataset)
        ],
    output:
        picture=f"{RUN}/illustrations/{{dataset}}.npz",
    log:
        f"{RUN}/logs/illustrate/{{dataset}}.log",
    priority: 60
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        networks=lambda wildcards: CONFIG.networks_of(wildcards.dataset),
        dataset=as_param(source_of),
        folder=FOLDER / "datasets",
        ball=as_param(CONFIG.ball),
        compute=as_param(FORWARD),
        user_code=lambda wildcards: [sources.files_digest(spec) for spec in CONFIG.networks_of(wildcards.dataset)],
        grid=CONFIG.illustration_grid,
        code=lambda wildcards: dataset_code(
            "illustrate.py",
            wildcards,
            FAMILIES["permuted"],
            *(name for network in CONFIG.networks_of(wildcards.dataset) for name in sources.modules(network)),
        ),
        upstream=lambda wildcards: [
            fingerprint("select", dataset=wildcards.dataset),
            *(
                fingerprint("extract", network=network.name, family="permuted")
                for network in CONFIG.networks_of(wildcards.dataset)
            ),
        ],
    script:
        "../scripts/illustrate.py"


rule figure:
    input:
        figure_inputs,
    output:
        f"{RUN}/figures/{{figure}}.pdf",
        f"{RUN}/figures/{{figure}}.svg",
        report(
            f"{RUN}/figures/{{figure}}.png",
            caption="../report/figure.rst",
            category=figure_category,
            labels={"figure": "{figure}"},
        ),
    log:
        f"{RUN}/logs/figures/{{figure}}.log",
    priority: 30
    conda:
        "../../envs/environment.yaml"
    params:
        config=as_param(CONFIG),
        run=FOLDER,
        caption=lambda wildcards: SimpleNamespace(text=caption(wildcards.figure)),  # which changes no figure: untracked
        code=lambda wildcards: code("figure.py", figures.module_name(wildcards.figure)),
        upstream=figure_upstream,
    script:
        "../scripts/figure.py"


rule claims:
    input:
        all_tables(),
        SAMPLES,
    output:
        table=report(
            f"{RUN}/claims.tsv", caption="../report/claims.rst", category="Claims", labels={"table": "verdicts"}
        ),
    log:
        f"{RUN}/logs/claims.log",
    priority: 30
    conda:
        "../../envs/environment.yaml"
    params:
        config=as_param(CONFIG),
        run=FOLDER,
        code=code("claims.py"),
        upstream=tables_upstream,
    script:
        "../scripts/claims.py"


rule report:
    input:
        claims=f"{RUN}/claims.tsv",
        tables=all_tables(),
        cards=CARDS,
        surveys=SURVEYS,
        samples=SAMPLES,
        images=[path for dataset in DATASETS for path in made_files(dataset, "test")],
        figures=expand(f"{RUN}/figures/{{figure}}.png", figure=figures.names(CONFIG)),
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
    params:
        config=as_param(CONFIG),
        run=FOLDER,
        captions=as_param({name: caption(name) for name in figures.names(CONFIG)}),
        code=code("report.py", *KINDS.values(), *(FAMILIES[name] for name in ("uniform", "permuted"))),
        templates=template_digest(),
        upstream=lambda wildcards: [
            fingerprint("claims"),
            *(fingerprint("figure", figure=figure) for figure in figures.names(CONFIG)),
        ],
    script:
        "../scripts/report.py"
