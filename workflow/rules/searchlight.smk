# Every neuroid's neighbourhood compared with a model. In: brain.nc, kernels. Out: searchlight.nc, and NIfTI maps that it names.

SEARCHLIGHT = "results/{study}/{region}/{model}/searchlight.nc"


rule searchlight:
    input:
        files("searchlight", SEARCHLIGHT),
    output:
        SEARCHLIGHT,
    log:
        "results/{study}/logs/searchlight/{region}/{model}.log",
    benchmark:
        "results/{study}/benchmarks/searchlight/{region}/{model}.tsv"
    threads: cores("searchlight", SEARCHLIGHT)
    resources:
        mem_mb=memory("searchlight", SEARCHLIGHT),
        runtime=runtime("searchlight", SEARCHLIGHT),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("searchlight", SEARCHLIGHT),
        code=code("searchlight", SEARCHLIGHT, "methods"),
    message:
        "searchlight in {wildcards.region}: {wildcards.model}"
    shell:
        "python -m isocortex searchlight --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
