# The space of shapes of a region's subjects and of all models' layers. In: brain.nc, kernels. Out: shapes.nc.

SHAPES = "results/{study}/{region}/shapes.nc"


rule shapes:
    input:
        files("shapes", SHAPES),
    output:
        SHAPES,
    log:
        "results/{study}/logs/shapes/{region}.log",
    benchmark:
        "results/{study}/benchmarks/shapes/{region}.tsv"
    threads: 1
    resources:
        mem_mb=memory("shapes", SHAPES),
        runtime=runtime("shapes", SHAPES),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("shapes", SHAPES),
        code=code("shapes", SHAPES, "metrics"),
    message:
        "shapes of {wildcards.region}"
    shell:
        "python -m isocortex shapes --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
