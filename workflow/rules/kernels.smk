# Grams and fold decompositions, shared by all regions. In: features, splits. Out: results/<study>/kernels.

KERNELS = "results/{study}/kernels/{model}/{stimuli}.json"


rule kernels:
    input:
        files("kernels", KERNELS),
    output:
        KERNELS,
    log:
        "results/{study}/logs/kernels/{model}/{stimuli}.log",
    benchmark:
        "results/{study}/benchmarks/kernels/{model}/{stimuli}.tsv"
    threads: cores("kernels", KERNELS)
    resources:
        mem_mb=memory("kernels", KERNELS),
        runtime=runtime("kernels", KERNELS),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("kernels", KERNELS),
    message:
        "kernels of {wildcards.model} for {wildcards.stimuli}"
    shell:
        "python -m isocortex kernels --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
