"""Identification in the graph: one job, which only the index waits for."""

from __future__ import annotations

from typing import Any


def test_identification_is_one_job_more(workspace: Any) -> None:
    everyone = ["S1", "S2", "S3"]
    workspace.study(subjects=everyone)
    before = workspace.planned()
    workspace.study(subjects=everyone, identify_regions={"stimuli": [10, 50], "subsets": 5})
    assert workspace.planned() - before == {"identify_regions: region_identification.nc"}
    regions = {"region: A/brain.nc", "region: B/brain.nc"}
    asked = workspace.planned("--", "results/small/region_identification.nc")
    assert regions < asked
    assert not any(job.startswith(("compare", "encode", "report", "features")) for job in asked)


def test_a_study_that_cannot_be_identified_stops_before_any_job(workspace: Any) -> None:
    workspace.study(identify_regions={})
    done = workspace.snakemake("-n")
    assert done.returncode == 1
    assert "identify_regions: found 2 subjects with all of A, B, expected at least 3" in done.stderr + done.stdout
