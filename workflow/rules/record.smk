# What was measured. In: downloads. Out: stimulus tables, recordings, splits, and per region brain.nc.

STIMULI = "results/shared/{dataset}/stimuli/{stimuli}.parquet"


rule stimuli:
    input:
        files("stimuli", STIMULI),
    output:
        STIMULI,
    log:
        "results/shared/{dataset}/logs/stimuli/{stimuli}.log",
    benchmark:
        "results/shared/{dataset}/benchmarks/stimuli/{stimuli}.tsv"
    threads: 1
    resources:
        mem_mb=memory("stimuli", STIMULI),
        runtime=runtime("stimuli", STIMULI),
        device=DEVICE,
    params:
        spec=spec("stimuli", STIMULI),
    message:
        "stimuli of {wildcards.dataset}: {wildcards.stimuli}"
    shell:
        "python -m isocortex stimuli --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"


RECORD = "results/shared/{dataset}/recordings/{recording}.json"


rule record:
    input:
        files("record", RECORD),
    output:
        RECORD,
    log:
        "results/shared/{dataset}/logs/record/{recording}.log",
    benchmark:
        "results/shared/{dataset}/benchmarks/record/{recording}.tsv"
    threads: 1
    resources:
        mem_mb=memory("record", RECORD),
        runtime=runtime("record", RECORD),
        device=DEVICE,
    params:
        spec=spec("record", RECORD),
    message:
        "recording of {wildcards.recording}"
    shell:
        "python -m isocortex record --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"


SPLITS = "results/{study}/splits/{subject}.json"


rule splits:
    input:
        files("splits", SPLITS),
    output:
        SPLITS,
    log:
        "results/{study}/logs/splits/{subject}.log",
    benchmark:
        "results/{study}/benchmarks/splits/{subject}.tsv"
    threads: 1
    resources:
        mem_mb=memory("splits", SPLITS),
        runtime=runtime("splits", SPLITS),
        device=DEVICE,
    params:
        spec=spec("splits", SPLITS),
        code=code("splits", SPLITS),
    message:
        "splits of {wildcards.subject}"
    shell:
        "python -m isocortex splits --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"


REGION = "results/{study}/{region}/brain.nc"


rule region:
    input:
        files("region", REGION),
    output:
        REGION,
    log:
        "results/{study}/logs/region/{region}.log",
    benchmark:
        "results/{study}/benchmarks/region/{region}.tsv"
    threads: 1
    resources:
        mem_mb=memory("region", REGION),
        runtime=runtime("region", REGION),
        device=DEVICE,
    params:
        spec=spec("region", REGION),
        code=code("region", REGION),
    message:
        "responses of {wildcards.region}"
    shell:
        "python -m isocortex region --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
