# Labels of stimuli, from a region or from a model's layers. In: brain.nc, stimulus tables, kernels. Out: decoding.nc.

DECODE = "results/{study}/{source}/decoding.nc"


rule decode:
    input:
        files("decode", DECODE),
    output:
        DECODE,
    log:
        "results/{study}/logs/decode/{source}.log",
    benchmark:
        "results/{study}/benchmarks/decode/{source}.tsv"
    wildcard_constraints:
        source="(?!geometry/)[^/]+(/[^/]+)?",  # a region, or a region and a model
    threads: 1
    resources:
        mem_mb=memory("decode", DECODE),
        runtime=runtime("decode", DECODE),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("decode", DECODE),
        code=code("decode", DECODE),
    message:
        "decoding {wildcards.source}"
    shell:
        "python -m isocortex decode --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
