rule gather:
    input:
        samples=samples_path,
        parts=lambda wildcards: [
            f"{table}/{shard}.parquet"
            for shard in shards_of(wildcards.network)
            for table in network_tables(wildcards.network, wildcards.network)
        ],
    output:
        tables=[f"{table}.parquet" for table in network_tables("{network}")],
    log:
        f"{RUN}/logs/gather/{{network}}.log",
    priority: 40
    conda:
        "../../envs/environment.yaml"
    params:
        fingerprint=fingerprint("gather"),
    script:
        "../scripts/gather.py"
