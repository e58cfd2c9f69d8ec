# A region by itself, and the layers of models. In: brain.nc or kernels, stimulus tables where labels are asked for.
# Out: geometry.nc of each region, geometry/<model>/<set>.nc of each model.

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


GEOMETRY_LAYERS = "results/{study}/geometry/{model}/{stimuli}.nc"


rule geometry_layers:
    input:
        files("geometry_layers", GEOMETRY_LAYERS),
    output:
        GEOMETRY_LAYERS,
    log:
        "results/{study}/logs/geometry_layers/{model}/{stimuli}.log",
    benchmark:
        "results/{study}/benchmarks/geometry_layers/{model}/{stimuli}.tsv"
    threads: 1
    resources:
        mem_mb=memory("geometry_layers", GEOMETRY_LAYERS),
        runtime=runtime("geometry_layers", GEOMETRY_LAYERS),
        device=DEVICE,
    params:
        spec=spec("geometry_layers", GEOMETRY_LAYERS),
        code=code("geometry_layers", GEOMETRY_LAYERS, "descriptors"),
    message:
        "geometry of the layers of {wildcards.model} on {wildcards.stimuli}"
    shell:
        "python -m isocortex geometry_layers --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
