# Regions told from each other across subjects. In: brain.nc of every region in it. Out: identification.nc.

IDENTIFY = "results/{study}/identification.nc"


rule identify:
    input:
        files("identify", IDENTIFY),
    output:
        IDENTIFY,
    log:
        "results/{study}/logs/identify.log",
    benchmark:
        "results/{study}/benchmarks/identify.tsv"
    threads: 1
    resources:
        mem_mb=memory("identify", IDENTIFY),
        runtime=runtime("identify", IDENTIFY),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("identify", IDENTIFY),
        code=code("identify", IDENTIFY),
    message:
        "identifying regions of {wildcards.study}"
    shell:
        "python -m isocortex identify --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
