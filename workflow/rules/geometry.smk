# A region by itself. In: brain.nc. Out: geometry.nc.

GEOMETRY = "results/{study}/{region}/geometry.nc"


rule geometry:
    input:
        files("geometry", GEOMETRY),
    output:
        GEOMETRY,
    log:
        "results/{study}/logs/geometry/{region}.log",
    benchmark:
        "results/{study}/benchmarks/geometry/{region}.tsv"
    threads: 1
    resources:
        mem_mb=memory("geometry", GEOMETRY),
        runtime=runtime("geometry", GEOMETRY),
        device=DEVICE,
    params:
        spec=spec("geometry", GEOMETRY),
        code=code("geometry", GEOMETRY, "descriptors"),
    message:
        "geometry of {wildcards.region}"
    shell:
        "python -m isocortex geometry --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
