# Time course: a region's scores in one window of time. In: recordings, stimuli, splits, kernels. Out: a table per window.

WINDOW = "results/{study}/{region}/windows/{window}.parquet"


rule window:
    input:
        files("window", WINDOW),
    output:
        WINDOW,
    log:
        "results/{study}/logs/window/{region}/{window}.log",
    benchmark:
        "results/{study}/benchmarks/window/{region}/{window}.tsv"
    wildcard_constraints:
        window="-?[0-9]+_-?[0-9]+",  # edges in milliseconds
    threads: cores("window", WINDOW)
    resources:
        mem_mb=memory("window", WINDOW),
        runtime=runtime("window", WINDOW),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("window", WINDOW),
        code=code("window", WINDOW, "methods"),
    message:
        "{wildcards.region} at {wildcards.window} ms"
    shell:
        "python -m isocortex window --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
