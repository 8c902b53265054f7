rule perturb:
    input:
        samples=ancient(f"{RUN}/samples/{{dataset}}.csv"),
        images=pool_files,
    output:
        stores=[f"{RUN}/perturbations/{{dataset}}/{family}/{{shard}}.zarr.zip" for family in FAMILIES_DRAWN],
    log:
        f"{RUN}/logs/perturb/{{dataset}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/perturb.{{dataset}}.{{shard}}.tsv"
    priority: 50
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        fingerprint=fingerprint("perturb"),
        versions=versions_for("perturb", f"{RUN}/perturbations/{{dataset}}/{FAMILIES_DRAWN[0]}/{{shard}}.zarr.zip"),
        rows=rows_digest,
        code=lambda wildcards: FINGERPRINTS.of_stores("perturb", dataset=wildcards.dataset),
    script:
        "../scripts/perturb.py"
