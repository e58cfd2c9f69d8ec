# Tables and pages. In: cells. Out: scores.parquet, comparisons.parquet, agreement.parquet, report.html, inference.parquet, index.html.

SUMMARISE = "results/{study}/{region}/scores.parquet"


rule summarise:
    input:
        files("summarise", SUMMARISE),
    output:
        report(
            SUMMARISE,
            caption="../report/scores.rst",
            category="Tables",
            labels={"region": "{region}"},
        ),
        report(
            "results/{study}/{region}/comparisons.parquet",
            caption="../report/comparisons.rst",
            category="Tables",
            labels={"region": "{region}"},
        ),
        report(
            "results/{study}/{region}/agreement.parquet",
            caption="../report/agreement.rst",
            category="Tables",
            labels={"region": "{region}"},
        ),
    log:
        "results/{study}/logs/summarise/{region}.log",
    benchmark:
        "results/{study}/benchmarks/summarise/{region}.tsv"
    threads: 1
    resources:
        mem_mb=memory("summarise", SUMMARISE),
        runtime=runtime("summarise", SUMMARISE),
        device=DEVICE,
    params:
        spec=spec("summarise", SUMMARISE),
        code=code("summarise", SUMMARISE),
    message:
        "tables of {wildcards.region}"
    shell:
        "python -m isocortex summarise --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"


REPORT = "results/{study}/{region}/report.html"


rule report:
    input:
        files("report", REPORT),
    output:
        report(
            REPORT,
            caption="../report/region.rst",
            category="Regions",
            labels={"region": "{region}"},
        ),
    log:
        "results/{study}/logs/report/{region}.log",
    benchmark:
        "results/{study}/benchmarks/report/{region}.tsv"
    threads: 1
    resources:
        mem_mb=memory("report", REPORT),
        runtime=runtime("report", REPORT),
        device=DEVICE,
    params:
        spec=spec("report", REPORT),
        code=code("report", REPORT),
    message:
        "page of {wildcards.region}"
    shell:
        "python -m isocortex report --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"


ACROSS = "results/{study}/inference.parquet"


rule across:
    input:
        files("across", ACROSS),
    output:
        report(ACROSS, caption="../report/inference.rst", category="Tables"),
    log:
        "results/{study}/logs/across.log",
    benchmark:
        "results/{study}/benchmarks/across.tsv"
    threads: 1
    resources:
        mem_mb=memory("across", ACROSS),
        runtime=runtime("across", ACROSS),
        device=DEVICE,
    params:
        spec=spec("across", ACROSS),
        code=code("across", ACROSS),
    message:
        "inference across regions"
    shell:
        "python -m isocortex across --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"


INDEX = "results/{study}/index.html"


rule index:
    input:
        files("index", INDEX),
    output:
        report(INDEX, caption="../report/index.rst", category="Study"),
    log:
        "results/{study}/logs/index.log",
    benchmark:
        "results/{study}/benchmarks/index.tsv"
    threads: 1
    resources:
        mem_mb=memory("index", INDEX),
        runtime=runtime("index", INDEX),
        device=DEVICE,
    params:
        spec=spec("index", INDEX),
        code=code("index", INDEX),
    message:
        "index of {wildcards.study}"
    shell:
        "python -m isocortex index --spec {params.spec:q} --device {resources.device} > {log:q} 2>&1"
