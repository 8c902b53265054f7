rule claims:
    input:
        TABLES,
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
    resources:
        in_group=1,
    params:
        fingerprint=fingerprint("claims"),
        versions=versions_for("claims", f"{RUN}/claims.tsv"),
    script:
        "../scripts/claims.py"
