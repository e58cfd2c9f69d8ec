# Regions told from each other across subjects. In: brain.nc of every region in it. Out: region_identification.nc.

IDENTIFY_REGIONS = "results/{study}/region_identification.nc"


rule identify_regions:
    input:
        files("identify_regions", IDENTIFY_REGIONS),
    output:
        IDENTIFY_REGIONS,
    log:
        "results/{study}/logs/identify_regions.log",
    benchmark:
        "results/{study}/benchmarks/identify_regions.tsv"
    threads: 1
    resources:
        mem_mb=memory("identify_regions", IDENTIFY_REGIONS),
        runtime=runtime("identify_regions", IDENTIFY_REGIONS),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("identify_regions", IDENTIFY_REGIONS),
        code=code("identify_regions", IDENTIFY_REGIONS),
    message:
        "identifying regions of {wildcards.study}"
    shell:
        "python -m isocortex identify_regions --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
