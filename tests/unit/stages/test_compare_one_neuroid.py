"""A region of one neuroid: refused by name for RDMs that need more, and nothing else of the region fails for it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cell_inputs import common_options, compare_spec, stimulus_ids, subject_patterns, write_brain, write_kernels
from encoding_world import World, read_rows

from isocortex.inference.rows import rows_from_json
from isocortex.reporting.recorded import missing
from isocortex.reporting.region import Region
from isocortex.similarity import compare_rdms, rdm
from isocortex.stages import compare, encode, summarise
from isocortex.stages.compare_subjects import LEAST_NEUROIDS
from isocortex.storage.tables import read_netcdf, read_parquet, read_tree

N = 20
IDS = stimulus_ids(N)
REASON = "region V4, subject {}: one neuroid, and a correlation RDM needs at least {}; use encoders, or rdm: euclidean"


def run(folder: Path, neuroids: dict[str, int], metrics: dict[str, Any], **more: Any) -> Any:
    rng = np.random.default_rng(3)
    layers = {name: rng.normal(size=(N, 8)) for name in ("early", "late")}
    subjects = {}
    for name, v in neuroids.items():
        signal = layers["late"] @ rng.normal(size=(8, v))
        subjects[name] = subject_patterns(signal[:, None] + 0.3 * rng.normal(size=(N, 3, v)), IDS)
    options = {**common_options(dict.fromkeys(subjects, "all"), permutations=99), "metrics": metrics, **more}
    brain, kernels = write_brain(folder / "brain.nc", subjects), write_kernels(folder / "k.json", layers, IDS)
    compare.run(compare_spec(brain, {"all": kernels}, folder / "rdm.nc", options), "cpu")
    return read_netcdf(folder / "rdm.nc"), layers, subjects


@pytest.mark.parametrize("kind", ["correlation", "cosine"])
def test_the_metric_has_no_rows_and_its_reason_is_kept(tmp_path: Path, kind: str) -> None:
    data, _, _ = run(tmp_path, {"1": 1}, {"rsa": {"rdm": kind}})
    assert rows_from_json(data.attrs["rows"]) == []
    assert json.loads(data.attrs["refused"]) == {"rsa": REASON.format(1, LEAST_NEUROIDS[kind]).replace("correlation", kind)}
    spec = {"inputs": {"cells": {"net/rdm": str(tmp_path / "rdm.nc")}}, "options": {"region": "V4"}}
    outputs = {name: str(tmp_path / f"{name}.parquet") for name in ("scores", "comparisons")}
    summarise.run({"stage": "summarise", "output": outputs, **spec}, "cpu")
    assert len(read_parquet(outputs["scores"])) == 0
    region = Region({"region": "V4"}, [], [], read_tree(tmp_path / "brain.nc"), {"net/rdm": data})
    said = missing(region)
    assert f"RSA: not computed: {REASON.format(1, LEAST_NEUROIDS[kind]).replace('correlation', kind)}." in said
    assert not any("compares no RDMs" in text for text in said)


def test_another_rdm_of_the_same_region_is_computed(tmp_path: Path) -> None:
    data, layers, subjects = run(tmp_path, {"1": 1, "2": 1}, {"trsa": {}, "rsa": {"rdm": "euclidean"}})
    rows = rows_from_json(data.attrs["rows"])
    assert {row["method"] for row in rows} == {"rsa"}
    assert len([row for row in rows if row["subject"] == "1"]) == 2
    assert json.loads(data.attrs["refused"]) == {"trsa": f"{REASON.format(1, 3)}; {REASON.format(2, 3)}"}
    brain = rdm(subjects["1"]["response"].values.astype(float), "euclidean")
    for row in rows:
        if row["subject"] == "1":
            assert row["score"] == pytest.approx(compare_rdms(rdm(layers[row["layer"]], "euclidean"), brain, "rho_a"))


def test_a_subject_of_one_neuroid_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    both, layers, subjects = run(tmp_path, {"1": 1, "2": 9, "3": 9}, {"rsa": {}, "geodesic_rsa": {"rdm": "euclidean"}})
    rows = [row for row in rows_from_json(both.attrs["rows"]) if row["method"] == "rsa"]
    assert {row["subject"] for row in rows} == {"2", "3", "all"}
    assert "refused" not in both.attrs
    found = {row["subject"]: row for row in rows if row["layer"] == "late"}
    for name in ("2", "3"):
        brain = rdm(subjects[name]["response"].values.astype(float))
        assert found[name]["score"] == pytest.approx(compare_rdms(rdm(layers["late"]), brain, "rho_a"))
    assert found["all"]["n_subjects"] == 2
    assert "without 1: too few neuroids, a correlation RDM needs at least 3" in found["all"]["note"]
    assert both["subject"].values.tolist() == ["1", "2", "3", "all"]
    scores, draws = both["layer_score"].sel({"method": "rsa"}), both["draws"].sel({"method": "rsa"})
    assert np.isnan(scores.sel(subject="1")).all()
    assert np.isnan(draws.sel(subject="1")).all()
    assert scores.sel(subject="3", layer="late").item() == pytest.approx(found["3"]["score"])
    assert np.isfinite(draws.sel(subject=["2", "3", "all"])).all()
    assert np.isfinite(both["draws"].sel({"method": "geodesic_rsa"})).all()


def test_an_encoder_works_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    world = dataclasses.replace(World(), n=40, neuroids=1, subjects=("S1",), noise=0.2).build()
    world.run_kernels()
    encode.run(world.cell_spec("encode"), "cpu")
    row = next(row for row in read_rows(read_netcdf("encode.nc")) if row["is_chosen"] and row["subject"] == "S1")
    assert (row["n_neuroids"], row["layer"]) == (1, "b")
    assert row["score"] > 0.8
