rule figures:
    input:
        TABLES,
        SAMPLES,
        CARDS,
        SURVEYS,
        ACROSS,
        claims=f"{RUN}/claims.tsv",
        illustrations=ILLUSTRATIONS,
    output:
        [path for path in PICTURES if not path.endswith(".png")],
        [
            report(
                f"{RUN}/figures/{name}.png",
                caption=f"../report/{figures.figure_of(name)}.rst",
                category=figure_category(name),
                labels={"figure": name},
            )
            for name in FIGURES
        ],
    log:
        f"{RUN}/logs/figures.log",
    benchmark:
        f"{RUN}/benchmarks/figures.tsv"
    priority: 30
    conda:
        "../../envs/environment.yaml"
    threads: 2
    resources:
        in_group=2,
    params:
        fingerprint=fingerprint("figures"),
    script:
        "../scripts/figures.py"
