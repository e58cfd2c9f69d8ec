"""isocortex: how like a brain a model is, region by region. Try `snakemake -n`, `snakemake`, `snakemake region_<R>`."""

from snakemake.utils import min_version

min_version("9.0")


# The demo is loaded only where no study was given: Snakemake would merge the two.
if not workflow.configfiles and "study" not in config:

    configfile: f"{workflow.basedir}/config/config.yaml"


# Used with --sdm apptainer only; build it with: docker build -t isocortex:0.1.0 -f envs/Dockerfile .
container: "docker://isocortex:0.1.0"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/record.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/kernels.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/decode.smk"
include: "workflow/rules/joint.smk"
include: "workflow/rules/core.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/shapes.smk"
include: "workflow/rules/searchlight.smk"
include: "workflow/rules/geometry.smk"
include: "workflow/rules/window.smk"
include: "workflow/rules/identify_models.smk"
include: "workflow/rules/identify_regions.smk"
include: "workflow/rules/space.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        targets("index"),
        targets("report"),
    localrule: True


rule identify:  # would the methods of each region know the right model?
    input:
        targets("identify_models"),
    localrule: True


for region in STUDY.regions:

    rule:
        name:
            f"region_{region}"
        input:
            JOBS.at.report(region),
        localrule: True
