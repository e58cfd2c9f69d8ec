# Metrics between a region and a model, one job per family. In: brain.nc, kernels. Out: <family>.nc.

COMPARE = "results/{study}/{region}/{model}/{family}.nc"


rule compare:
    input:
        files("compare", COMPARE),
    output:
        COMPARE,
    log:
        "results/{study}/logs/compare/{region}/{model}/{family}.log",
    benchmark:
        "results/{study}/benchmarks/compare/{region}/{model}/{family}.tsv"
    threads: 1
    resources:
        mem_mb=memory("compare", COMPARE),
        runtime=runtime("compare", COMPARE),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("compare", COMPARE),
        code=code("compare", COMPARE, "metrics"),
    message:
        "comparing {wildcards.region} with {wildcards.model}: {wildcards.family}"
    shell:
        "python -m isocortex compare --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
