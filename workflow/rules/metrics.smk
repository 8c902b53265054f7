rule measure:
    input:
        samples=lambda wildcards: ancient(samples_path(dataset_name(wildcards))),
        survey=lambda wildcards: f"{RUN}/survey/{dataset_name(wildcards)}/{wildcards.network}.parquet",
        activations=store_of("activations", lambda wildcards: wildcards.network),
        perturbations=store_of("perturbations", dataset_name),
    output:
        table=f"{RUN}/metrics/{{network}}/{{probe,{one_of(STORED)}}}/{{shard}}.parquet",
    log:
        f"{RUN}/logs/measure/{{network}}.{{probe}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/measure.{{network}}.{{probe}}.{{shard}}.tsv"
    priority: 40
    conda:
        "../../envs/environment.yaml"
    params:
        ball=tracked(ball_of),
        mantel_permutations=CONFIG.mantel_permutations,
        rows=rows_digest,
        code=lambda wildcards: code("measure.py", probes.PROBES[wildcards.probe]),
        upstream=measure_upstream,
    script:
        "../scripts/measure.py"


rule measure_direct:
    input:
        samples=lambda wildcards: ancient(samples_path(dataset_name(wildcards))),
        survey=lambda wildcards: f"{RUN}/survey/{dataset_name(wildcards)}/{wildcards.network}.parquet",
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=lambda wildcards: made_files(dataset_name(wildcards), "test"),
    output:
        table=f"{RUN}/metrics/{{network}}/{{probe,{one_of(DIRECT)}}}/{{shard}}.parquet",
    log:
        f"{RUN}/logs/measure/{{network}}.{{probe}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/measure.{{network}}.{{probe}}.{{shard}}.tsv"
    priority: 45
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        network=tracked(network_of),
        dataset=tracked(source_of),
        folder=FOLDER / "datasets",
        ball=tracked(CONFIG.ball),
        # Too few passes for it to pay.
        compute=tracked(replace(FORWARD, compile=False)),
        settings=tracked(CONFIG.direct),
        own_code=own_code,
        rows=rows_digest,
        code=direct_code,
        upstream=lambda wildcards: [
            made("network", network=wildcards.network),
            made("survey", dataset=dataset_name(wildcards), network=wildcards.network),
        ],
    script:
        "../scripts/measure_direct.py"


rule gather:
    input:
        samples=lambda wildcards: samples_path(dataset_name(wildcards)),
        parts=lambda wildcards: [
            f"{table}/{shard}.parquet"
            for table in measured(wildcards.network)
            for shard in shards_of(dataset_name(wildcards))
        ],
    output:
        [f"{table}.parquet" for table in measured("{network}")],
    log:
        f"{RUN}/logs/gather/{{network}}.log",
    priority: 40
    conda:
        "../../envs/environment.yaml"
    params:
        code=code("gather.py"),
        upstream=gather_upstream,
    script:
        "../scripts/gather.py"
