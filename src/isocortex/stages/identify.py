"""The command `identify`: run the study's identification of models, and say region by region which method would know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from isocortex.errors import StudyError
from isocortex.reporting.identified_text import verdicts_text
from isocortex.storage.tables import read_netcdf
from isocortex.study import Study, load_study
from isocortex.study.explain import unknown
from isocortex.study.jobs import Jobs

SOURCE = Path(__file__).resolve().parents[3]


def identify(path: str, region: str | None = None, cores: int = 1) -> str:
    """Run the workflow up to `identification.nc` of one region or of all; the verdicts, as text.

    Raises `StudyError` where the study asks for no identification, has no such region, or the workflow stops.
    """
    study = load_study(path)
    targets = _targets(study, path, region)
    if not targets:
        raise StudyError(
            f"{path}: found no region that identify_models can ask anything of, expected a metric or encoder of one; name some "
            "in compare or encode"
        )
    chosen = ["--", *targets.values()]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile()), "--configfile", path]
    done = subprocess.run([*command, "--cores", str(cores), *chosen], check=False)
    if done.returncode:
        raise StudyError(
            f"{path}: the workflow stopped (exit code {done.returncode}); what it says above names the job and its log"
        )
    labels = {name: study.regions[name].label or name for name in targets}
    return "\n\n".join(verdicts_text(read_netcdf(file), labels[name], study.primary) for name, file in targets.items())


def _targets(study: Study, path: str, region: str | None) -> dict[str, str]:
    jobs = {job.options["region"]: job.target for job in Jobs(study).by_stage["identify_models"].values()}
    if study.options.identify_models is None:
        raise StudyError(f"{path}: found no identify_models, expected it; add the line `identify_models: {{}}` to the study")
    if region is None:
        return jobs
    if region not in jobs:
        raise unknown("--region", region, jobs, "region")
    return {region: jobs[region]}


def snakefile() -> Path:
    """The workflow beside the package's source, or in the working directory where the package is installed elsewhere.

    Raises `StudyError` where there is none.
    """
    for place in (SOURCE / "Snakefile", Path("Snakefile")):
        if place.is_file():
            return place
    raise StudyError(
        f"found no Snakefile in {SOURCE} nor in {Path.cwd()}; run this in the repository's folder, which holds the workflow"
    )
