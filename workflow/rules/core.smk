# Networks trained on a region's responses. In: brain.nc, splits, stimulus tables. Out: cores/<core>.nc and .npz, its weights.

CORE = "results/{study}/{region}/cores/{core}.nc"


rule core:
    input:
        files("core", CORE),
    output:
        CORE,
        "results/{study}/{region}/cores/{core}.npz",
    log:
        "results/{study}/logs/core/{region}/{core}.log",
    benchmark:
        "results/{study}/benchmarks/core/{region}/{core}.tsv"
    threads: cores("core", CORE)
    resources:
        mem_mb=memory("core", CORE),
        runtime=runtime("core", CORE),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("core", CORE),
        code=code("core", CORE, "readouts"),
    message:
        "training {wildcards.core} on {wildcards.region}"
    shell:
        "python -m isocortex core --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
