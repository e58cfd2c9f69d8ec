# Distances between all regions of all subjects. In: brain.nc of every region in it. Out: space.nc.

SPACE = "results/{study}/space.nc"


rule space:
    input:
        files("space", SPACE),
    output:
        SPACE,
    log:
        "results/{study}/logs/space.log",
    benchmark:
        "results/{study}/benchmarks/space.tsv"
    threads: 1
    resources:
        mem_mb=memory("space", SPACE),
        runtime=runtime("space", SPACE),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("space", SPACE),
        code=code("space", SPACE),
    message:
        "map of the regions of {wildcards.study}"
    shell:
        "python -m isocortex space --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
