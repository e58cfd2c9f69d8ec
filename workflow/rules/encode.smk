# Encoders and readouts of a region. In: brain.nc, kernels or features, splits. Out: encoding.nc, readout.nc.

ENCODE = "results/{study}/{region}/{model}/encoding.nc"


rule encode:
    input:
        files("encode", ENCODE),
    output:
        ENCODE,
    log:
        "results/{study}/logs/encode/{region}/{model}.log",
    benchmark:
        "results/{study}/benchmarks/encode/{region}/{model}.tsv"
    threads: cores("encode", ENCODE)
    resources:
        mem_mb=memory("encode", ENCODE),
        runtime=runtime("encode", ENCODE),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("encode", ENCODE),
        code=code("encode", ENCODE, "encoders"),
    message:
        "encoding {wildcards.region} by {wildcards.model}"
    shell:
        "python -m isocortex encode --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"


READOUT = "results/{study}/{region}/{model}/readout.nc"


rule readout:
    input:
        files("readout", READOUT),
    output:
        READOUT,
    log:
        "results/{study}/logs/readout/{region}/{model}.log",
    benchmark:
        "results/{study}/benchmarks/readout/{region}/{model}.tsv"
    threads: 2
    resources:
        mem_mb=memory("readout", READOUT),
        runtime=runtime("readout", READOUT),
        device=DEVICE,
        gpu=GPU,
    params:
        spec=spec("readout", READOUT),
        code=code("readout", READOUT, "readouts"),
    message:
        "reading {wildcards.region} out of {wildcards.model}"
    shell:
        "python -m isocortex readout --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
