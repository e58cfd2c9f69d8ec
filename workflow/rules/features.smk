# What a model says. In: stimulus tables. Out: results/shared/<dataset>/features/<model>/<set>.{json,zarr}.

FEATURES = "results/shared/{dataset}/features/{model}/{stimuli}.json"


rule features:
    input:
        files("features", FEATURES),
    output:
        FEATURES,
    log:
        "results/shared/{dataset}/logs/features/{model}/{stimuli}.log",
    benchmark:
        "results/shared/{dataset}/benchmarks/features/{model}/{stimuli}.tsv"
    threads: cores("features", FEATURES)
    resources:
        mem_mb=memory("features", FEATURES),
        runtime=runtime("features", FEATURES),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("features", FEATURES),
    message:
        "features of {wildcards.model} for {wildcards.stimuli}"
    shell:
        "python -m isocortex features --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
