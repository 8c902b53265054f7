rule measure:
    input:
        samples=lambda wildcards: ancient(samples_path(dataset_name(wildcards))),
        survey=lambda wildcards: f"{RUN}/survey/{dataset_name(wildcards)}/{wildcards.network}.parquet",
        activations=store_of("activations", lambda wildcards: wildcards.network),
        perturbations=store_of("perturbations", dataset_name),
    output:
        table=f"{RUN}/metrics/{{network}}/{{probe,{alternatives(STORED)}}}/{{shard}}.parquet",
    log:
        f"{RUN}/logs/measure/{{network}}.{{probe}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/measure.{{network}}.{{probe}}.{{shard}}.tsv"
    priority: 40
    conda:
        "../../envs/environment.yaml"
    params:
        ball=as_param(ball_of),
        mantel_permutations=CONFIG.mantel_permutations,
        rows=rows_digest,
        code=lambda wildcards: code("measure.py", probes.PROBES[wildcards.probe].module),
        upstream=measure_upstream,
    script:
        "../scripts/measure.py"


rule measure_white_box:
    input:
        samples=lambda wildcards: ancient(samples_path(dataset_name(wildcards))),
        survey=lambda wildcards: f"{RUN}/survey/{dataset_name(wildcards)}/{wildcards.network}.parquet",
        weights=f"{RUN}/networks/{{network}}/weights.safetensors",
        images=lambda wildcards: made_files(dataset_name(wildcards), "test"),
    output:
        table=f"{RUN}/metrics/{{network}}/{{probe,{alternatives(WHITE_BOX)}}}/{{shard}}.parquet",
    log:
        f"{RUN}/logs/measure/{{network}}.{{probe}}.{{shard}}.log",
    benchmark:
        f"{RUN}/benchmarks/measure.{{network}}.{{probe}}.{{shard}}.tsv"
    priority: 45
    conda:
        "../../envs/environment.yaml"
    threads: CONFIG.compute.threads
    params:
        network=as_param(network_of),
        dataset=as_param(source_of),
        folder=FOLDER / "datasets",
        ball=as_param(CONFIG.ball),
        # Too few passes for it to pay.
        compute=as_param(replace(FORWARD, compile=False)),
        settings=as_param(CONFIG.white_box),
        user_code=user_code,
        rows=rows_digest,
        code=white_box_code,
        upstream=lambda wildcards: [
            fingerprint("build_network", network=wildcards.network),
            fingerprint("survey", dataset=dataset_name(wildcards), network=wildcards.network),
        ],
    script:
        "../scripts/measure_white_box.py"


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
