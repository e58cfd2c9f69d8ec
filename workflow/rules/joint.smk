# Several feature spaces predict a region together. In: brain.nc, kernels of every member, splits. Out: joint.nc.

JOINT = "results/{study}/{region}/{model}/joint.nc"


rule joint:
    input:
        files("joint", JOINT),
    output:
        JOINT,
    log:
        "results/{study}/logs/joint/{region}/{model}.log",
    benchmark:
        "results/{study}/benchmarks/joint/{region}/{model}.tsv"
    threads: 1
    resources:
        mem_mb=memory("joint", JOINT),
        runtime=runtime("joint", JOINT),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("joint", JOINT),
        code=code("joint", JOINT, "methods"),
    message:
        "encoding {wildcards.region} jointly: {wildcards.model}"
    shell:
        "python -m isocortex joint --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
