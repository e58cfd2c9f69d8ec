"""Descriptors of layers are files of models, which no rule of regions takes for its own."""

from __future__ import annotations

from typing import Any

import pytest
import yaml


@pytest.mark.parametrize("name", ["encoding", "decoding"])
def test_a_stimulus_set_may_be_called_as_a_cell_is(workspace: Any, name: str) -> None:
    dataset = yaml.safe_load(workspace.study().read_text())["dataset"]
    dataset["stimuli"] = {name: dataset["stimuli"]["crops"]}
    for subject in dataset["subjects"].values():
        subject["stimuli"] = name
    workspace.study(dataset=dataset, geometry=["participation_ratio"], decode={"photo": {"target": "photograph"}})
    planned = workspace.planned()
    assert {job for job in planned if job.startswith("geometry_layers: ")} == {
        f"geometry_layers: geometry/{model}/{name}.nc" for model in ("pixels", "net")
    }
    assert {job for job in planned if job.startswith("encode: ")} == {
        f"encode: {region}/{model}/encoding.nc" for region in "AB" for model in ("pixels", "net")
    }
