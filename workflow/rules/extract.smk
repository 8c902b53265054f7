rule extract:
    input:
        samples=lambda wildcards: ancient(samples_path(wildcards)),
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=pool_files,
    output:
        stores=[KEPT(f"{RUN}/activations/{{network}}/{family}/{{shard}}.zarr.zip") for family in FAMILIES_DRAWN],
    log:
        f"{RUN}/logs/extract/{{network}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/extract.{{network}}.{{shard}}.tsv"
    priority: 60
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        fingerprint=fingerprint("extract"),
        versions=versions_for("extract", f"{RUN}/activations/{{network}}/{FAMILIES_DRAWN[0]}/{{shard}}.zarr.zip"),
        rows=rows_digest,
        code=lambda wildcards: FINGERPRINTS.of_stores("extract", network=wildcards.network),
    script:
        "../scripts/extract.py"
