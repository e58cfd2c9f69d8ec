# Downloads, as they came. In: nothing. Out: resources/<dataset>/manifests/<part>.json, written last.

FETCH = "resources/{dataset}/manifests/{part}.json"


rule fetch:
    input:
        files("fetch", FETCH),
    output:
        FETCH,
    log:
        "resources/logs/fetch/{dataset}/{part}.log",
    benchmark:
        "resources/benchmarks/fetch/{dataset}/{part}.tsv"
    retries: 2
    localrule: True
    threads: 1
    resources:
        mem_mb=memory("fetch", FETCH),
        runtime=runtime("fetch", FETCH),
        device=DEVICE,
    params:
        spec=spec("fetch", FETCH),
    message:
        "fetching {wildcards.dataset}: {wildcards.part}"
    shell:
        "python -m isocortex fetch --spec {params.spec:q} --device {resources.device} 2>&1 | tee {log:q}"
