"""What reruns when something changes, job by job (design: the graph)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from isocortex.storage.tables import read_netcdf

pytestmark = pytest.mark.xdist_group("finished")

MODELS, REGIONS = ("pixels", "net"), ("A", "B")
LAST = {"across: inference.parquet", "index: index.html"}


def cells(stage: str, name: str, regions: tuple[str, ...] = REGIONS, models: tuple[str, ...] = MODELS) -> set[str]:
    return {f"{stage}: {region}/{model}/{name}.nc" for region in regions for model in models}


def after(*regions: str) -> set[str]:
    """Tables and pages of some regions, and what follows for the study."""
    tables = {f"summarise: {region}/scores.parquet" for region in regions}
    return tables | {f"report: {region}/report.html" for region in regions} | LAST


@pytest.fixture(autouse=True)
def _as_it_was(finished: Any) -> Iterator[None]:
    yield
    finished.study()


def test_a_second_run_does_nothing(finished: Any) -> None:
    done = finished.snakemake()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stderr + done.stdout
    assert finished.planned() == set()


def test_a_metrics_option_in_one_region(finished: Any) -> None:
    finished.study(**{"regions/A": {"compare": {"rsa": {"compare": "pearson"}}}})
    assert finished.planned() == cells("compare", "rdm", ("A",)) | after("A")


def test_a_metrics_option_everywhere(finished: Any) -> None:
    finished.study(compare={"rsa": {"rdm": "euclidean"}})
    assert finished.planned() == cells("compare", "rdm") | after(*REGIONS)


def test_a_model_added(finished: Any) -> None:
    finished.study(**{"models/more": {"source": "pixels", "size": 6}})
    planned = finished.planned()
    features = {job for job in planned if job.startswith("features: ")}
    assert len(features) == 1
    assert "/more~" in next(iter(features))
    expected = cells("encode", "encoding", models=("more",)) | cells("compare", "rdm", models=("more",))
    assert planned - features == expected | {"kernels: kernels/more/crops.json"} | after(*REGIONS)


def test_a_region_added(finished: Any) -> None:
    finished.study(**{"regions/C": {}})
    expected = {"region: C/brain.nc"} | cells("encode", "encoding", ("C",)) | cells("compare", "rdm", ("C",)) | after("C")
    assert finished.planned() == expected


def test_a_descriptor_added(finished: Any) -> None:
    finished.study(geometry=["participation_ratio"])
    layers = {f"geometry_layers: geometry/{model}/crops.nc" for model in MODELS}
    assert finished.planned() == {f"geometry: {region}/geometry.nc" for region in REGIONS} | layers | after(*REGIONS)


def test_a_decoder_added(finished: Any) -> None:
    finished.study(decode={"photo": {"target": "photograph", "classifier": "lda"}})
    own = {f"decode: {region}/decoding.nc" for region in REGIONS}
    assert finished.planned() == own | cells("decode", "decoding") | after(*REGIONS)


def test_a_joint_encoder_added_and_its_option_changed(finished: Any, tmp_path: Path) -> None:
    apart = replace(finished, folder=tmp_path / "copy")  # the others find no cell that they have not asked for
    shutil.copytree(finished.folder, apart.folder)
    both = {"of": ["pixels", "net"], "stacking": {}}
    apart.study(joint={"both": both})
    expected = cells("joint", "joint", models=("both",)) | after(*REGIONS)
    assert apart.planned() == expected
    done = apart.snakemake()
    assert done.returncode == 0, done.stderr[-2000:]
    assert apart.planned() == set()
    apart.study(joint={"both": {**both, "banded": {"candidates": 3}}})
    assert apart.planned() == expected


def test_a_core_added_and_its_option_changed(finished: Any, tmp_path: Path) -> None:
    apart = replace(finished, folder=tmp_path / "copy")
    shutil.copytree(finished.folder, apart.folder)
    small = {"size": 16, "channels": [4], "kernels": [3], "strides": [2], "epochs": 2, "seeds": 1}
    one, two = {f"core: {region}/cores/one.nc" for region in REGIONS}, {f"core: {region}/cores/two.nc" for region in REGIONS}
    apart.study(core={"one": small, "two": {**small, "readout": "fwrf"}})
    assert apart.planned() == one | two | after(*REGIONS)
    done = apart.snakemake()
    assert done.returncode == 0, done.stderr[-2000:]
    assert apart.planned() == set()
    apart.study(core={"one": {**small, "epochs": 3}, "two": {**small, "readout": "fwrf"}})
    assert apart.planned() == one | after(*REGIONS)
    apart.study(core={"one": {**small, "label": "One"}, "two": {**small, "readout": "fwrf"}})
    assert apart.planned() == {f"report: {region}/report.html" for region in REGIONS} | {"index: index.html"}


def test_a_subject_added(finished: Any) -> None:
    finished.study(subjects=["S1", "S2", "S3"])
    planned = finished.planned()
    record = {job for job in planned if job.startswith("record: ")}
    assert len(record) == 1
    assert "/S3~" in next(iter(record))
    everything = {"splits: splits/S3.json"} | {f"kernels: kernels/{model}/crops.json" for model in MODELS}
    everything |= {f"region: {region}/brain.nc" for region in REGIONS}
    everything |= cells("encode", "encoding") | cells("compare", "rdm") | after(*REGIONS)
    assert planned - record == everything


def test_the_device_changes_nothing(finished: Any) -> None:
    finished.study(device="cpu")
    assert finished.planned() == set()


def test_other_cores_change_nothing(finished: Any) -> None:
    assert finished.planned("--cores", "1") == set()


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("similarity/rsa.py", cells("compare", "rdm") | after(*REGIONS)),
        ("encoding/ridge.py", cells("encode", "encoding") | after(*REGIONS)),
        ("reporting/pages.py", {f"report: {region}/report.html" for region in REGIONS} | {"index: index.html"}),
        ("reporting/templates/page.css", {f"report: {region}/report.html" for region in REGIONS} | {"index: index.html"}),
        ("features/sources/gabor.py", set()),  # features follow their recipe, not their code
    ],
)
def test_an_edit_of_the_code(finished: Any, tmp_path: Path, file: str, expected: set[str]) -> None:
    shutil.copytree(finished.repository / "src", tmp_path / "src")
    edited = tmp_path / "src/isocortex" / file
    before = edited.read_text()
    edited.write_text(before + "\n\n_AN_EDIT = 1\n")
    assert finished.planned(env={"PYTHONPATH": str(tmp_path / "src")}) == expected
    edited.write_text(before + "\n\n# only a comment\n" if file.endswith(".py") else before)
    assert finished.planned(env={"PYTHONPATH": str(tmp_path / "src")}) == set()


def test_one_region_by_name(finished: Any) -> None:
    assert finished.planned("-R", "encode", "--", "region_A") == cells("encode", "encoding", ("A",)) | (after("A") - LAST)
    assert finished.planned("--", "region_A") == set()


def test_an_unknown_region_is_refused(finished: Any) -> None:
    done = finished.snakemake("-n", "--", "region_Z")
    assert done.returncode == 1
    assert "region_Z" in done.stderr + done.stdout


def test_the_same_study_gives_the_same_numbers(finished: Any, tmp_path: Path) -> None:
    """Two cells made again in place are identical, value by value."""
    targets = [f"results/small/A/net/{name}.nc" for name in ("encoding", "rdm")]
    before = [read_netcdf(finished.folder / target) for target in targets]
    done = finished.snakemake("-R", "encode", "compare", "--", *targets)
    assert done.returncode == 0, done.stderr[-2000:]
    for target, old in zip(targets, before, strict=True):
        xr.testing.assert_identical(read_netcdf(finished.folder / target), old)
    done = finished.snakemake()  # what lies after the cells is unchanged in content, and is made up to date again
    assert done.returncode == 0
    assert finished.planned() == set()


def test_params_hold_no_absolute_path(finished: Any) -> None:
    for sidecar in (finished.folder / "results").rglob("*.json"):
        text = sidecar.read_text()
        assert str(finished.folder) not in text
        assert str(finished.repository) not in text
