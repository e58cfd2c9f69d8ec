# Known models in a region's place. In: stimulus tables; brain.nc, known models, features. Out: known/<set>.nc, identification.nc.

KNOWN = "results/{study}/known_models/{stimuli}.nc"


rule known:
    input:
        files("known", KNOWN),
    output:
        KNOWN,
    log:
        "results/{study}/logs/known/{stimuli}.log",
    benchmark:
        "results/{study}/benchmarks/known/{stimuli}.tsv"
    priority: 1  # identify_models waits for it
    threads: cores("known", KNOWN)
    resources:
        mem_mb=memory("known", KNOWN),
        runtime=runtime("known", KNOWN),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("known", KNOWN),
        code=code("known", KNOWN),
    message:
        "known models for {wildcards.stimuli}"
    shell:
        "python -m isocortex known --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"


IDENTIFY_MODELS = "results/{study}/{region}/identification.nc"


rule identify_models:
    input:
        files("identify_models", IDENTIFY_MODELS),
    output:
        IDENTIFY_MODELS,
    log:
        "results/{study}/logs/identify_models/{region}.log",
    benchmark:
        "results/{study}/benchmarks/identify_models/{region}.tsv"
    priority: 1  # one long job, which a page waits for
    threads: cores("identify_models", IDENTIFY_MODELS)
    resources:
        mem_mb=memory("identify_models", IDENTIFY_MODELS),
        runtime=runtime("identify_models", IDENTIFY_MODELS),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("identify_models", IDENTIFY_MODELS),
        code=code("identify_models", IDENTIFY_MODELS, "methods"),
    message:
        "would {wildcards.region} know the right model?"
    shell:
        "python -m isocortex identify_models --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
