"""Identification of models in the graph: one job for the known models, one for each region, which its page waits for."""

from __future__ import annotations

from typing import Any

SEEDED = {
    "source": "callable", "call": "isocortex.features.seeded:build", "options": {"channels": 3, "depth": 1},
    "layers": ["conv1"], "pool": 2, "seeds": [0, 1],
}  # fmt: skip
KINDS = {
    "a": SEEDED,
    "b": {**SEEDED, "options": {"channels": 3, "depth": 1, "nonlinearity": "square"}, "seeds": [2, 3]},
    "c": {"models": ["net"]},
}


def test_the_target_identify_is_its_jobs_and_what_they_read(workspace: Any) -> None:
    workspace.study()
    before = workspace.planned()
    workspace.study(identify_models={"kinds": KINDS, "worlds": 8})
    more = {"known: known_models/crops.nc", "identify_models: A/identification.nc", "identify_models: B/identification.nc"}
    assert workspace.planned() - before == more
    asked = workspace.planned("--", "identify")
    assert more < asked
    assert not any(job.startswith(("compare", "encode", "kernels", "report")) for job in asked)
    one = workspace.planned("--", "results/small/A/identification.nc")
    assert "identify_models: B/identification.nc" not in one


def test_a_kind_without_a_second_instance_stops_before_any_job(workspace: Any) -> None:
    workspace.study(identify_models={"kinds": {"a": SEEDED, "c": {"models": ["net"]}}})
    done = workspace.snakemake("-n")
    assert done.returncode == 1
    assert "identify_models.kinds: found 1 kinds with two instances (a), expected at least 2" in done.stderr + done.stdout
