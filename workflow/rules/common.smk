# The study, its jobs, and what rules ask of them. Rules hold no logic: inputs, options and costs come from isocortex.study.
import os
import sys

from isocortex import planning
from isocortex.errors import StudyError
from isocortex.study import Study
from isocortex.study.code import code_digest
from isocortex.study.jobs import Jobs
from isocortex.study.machine import gpus_wanted, use_this_python

use_this_python()


def read_study():
    """The study of `config`; where it is wrong, one line and exit code 1 before any job starts."""
    given = workflow.configfiles[-1] if workflow.configfiles else None
    mine = "config/catalogue"  # a catalogue of one's own, in the working directory, comes first
    try:
        return Study.from_mapping(
            config,
            origin=os.path.relpath(given) if given else None,
            catalogue=mine if os.path.exists(mine) else f"{workflow.basedir}/{mine}",
        )
    except StudyError as error:
        print(f"isocortex: error: {error}", file=sys.stderr, flush=True)
        os._exit(1)  # an exception would be told as a traceback


STUDY = read_study()
JOBS = Jobs(STUDY)
# A resource, not a parameter: another device reruns nothing.
DEVICE = STUDY.options.device
GPU = gpus_wanted(DEVICE)


def job_of(stage, pattern):
    """The job that a rule's wildcards name, by the path that it writes."""
    return lambda wildcards: JOBS.by_stage[stage][pattern.format(**wildcards)]


def files(stage, pattern):
    job = job_of(stage, pattern)
    return lambda wildcards: job(wildcards).files


def spec(stage, pattern):
    job = job_of(stage, pattern)
    return lambda wildcards: job(wildcards).spec


def memory(stage, pattern):
    job = job_of(stage, pattern)
    return lambda wildcards, attempt: planning.memory_mb(STUDY, job(wildcards), attempt)


def cores(stage, pattern):
    job = job_of(stage, pattern)
    return lambda wildcards: planning.threads(STUDY, job(wildcards))


def runtime(stage, pattern):
    job = job_of(stage, pattern)
    return lambda wildcards, attempt: planning.runtime_minutes(
        STUDY, job(wildcards), attempt
    )


def code(stage, pattern, methods=None):
    """The digest of the code behind a job: of its stage, and of the methods that its options name."""
    job = job_of(stage, pattern)
    return lambda wildcards: code_digest(
        stage, job(wildcards).options[methods] if methods else ()
    )


def targets(stage):
    return list(JOBS.by_stage[stage])


wildcard_constraints:
    study="[^/]+",
    dataset="[^/]+",
    part="[^/]+",
    region="(?!geometry/)[^/]+",  # results/<study>/geometry is of models, and no region
    model="[^/]+",
    core="[^/]+",
    subject="[^/]+",
    stimuli="[^/]+",
    recording="[^/]+",
    family="rdm|graph|shape|stochastic|kernel|linear|neighbours|matching",
