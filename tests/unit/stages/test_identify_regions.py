"""Stage `identify_regions`: from `brain.nc` of every region to `region_identification.nc`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cell_inputs import stimulus_ids, subject_patterns, subject_rdm, write_brain

from isocortex.errors import DataError
from isocortex.inference.region_identification import STATISTICS
from isocortex.stages import identify_regions
from isocortex.storage.tables import read_netcdf
from isocortex.study.options import IDENTIFIERS

ALL = {"rsa": {}, "rsa_rank": {}, "topology": {"step": 0.2}, "geometry": {"step": 0.2}, "trsa": {"step": 0.2}}
SUBJECTS = ("S1", "S2", "S3", "S4")


def patterns(region: str, subject: str, n: int, noise: float = 0.5) -> np.ndarray:
    """(n, 1, 12): what all subjects share of a region, and what is a subject's own."""
    shared = np.random.default_rng([*region.encode()]).standard_normal((n, 1, 12))
    return shared + noise * np.random.default_rng([*f"{region}{subject}".encode()]).standard_normal(shared.shape)


def spec_of(folder: Path, level: str = "patterns", n: int = 12, **options: Any) -> dict[str, Any]:
    regions, ids = ("A", "B", "C"), stimulus_ids(n)
    brains = {}
    for region in regions:
        found = {subject: patterns(region, subject, n) for subject in SUBJECTS}
        if level == "rdm":
            parts = {s: subject_rdm(1 - np.corrcoef(x[:, 0]), ids) for s, x in found.items()}
        else:
            parts = {s: subject_patterns(x, ids) for s, x in found.items()}
        brains[region] = str(write_brain(folder / f"{region}.nc", parts, level))
    asked = {
        "level": level, "regions": list(regions), "subjects": list(SUBJECTS), "stimuli": [6, 12], "noise": [0.0, 1.0],
        "subsets": 3, "rdm": "correlation", "statistics": ALL, "seed": 2, "confidence": 0.95,
    }  # fmt: skip
    return {
        "stage": "identify_regions",
        "inputs": {"brains": brains},
        "output": str(folder / "region_identification.nc"),
        "options": {**asked, **options},
    }


def run(spec: dict[str, Any]) -> xr.Dataset:
    identify_regions.run(json.loads(json.dumps(spec, sort_keys=True)), "cpu")  # options come sorted by key
    return read_netcdf(spec["output"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return run(spec_of(tmp_path_factory.mktemp("identify_regions")))


def test_statistics_are_those_of_the_study() -> None:
    assert STATISTICS == IDENTIFIERS


def test_regions_that_subjects_share_are_identified(made: xr.Dataset) -> None:
    assert made["statistic"].values.tolist() == list(ALL)
    whole = made["accuracy"].sel(size=12, noise=0.0)
    assert (whole == 1.0).all()
    assert (made["accuracy"].sel(noise=1.0) <= made["accuracy"].sel(noise=0.0) + 0.1).all()
    assert made.attrs["chance"] == pytest.approx(1 / 3)
    assert made.attrs["reference"] == "rsa"
    assert made.attrs["noise_on"] == "patterns"


def test_what_is_kept_agrees_with_itself(made: xr.Dataset) -> None:
    assert made["correct"].dims == ("statistic", "size", "noise", "subset", "subject")
    xr.testing.assert_allclose(made["correct"].mean(("subset", "subject")).astype(float), made["accuracy"], rtol=1e-6)
    xr.testing.assert_allclose(made["correct_region"].mean("region"), made["accuracy"], rtol=1e-6)
    done = made["correct"].notnull().all("subject").sum("subset")
    assert (done == xr.DataArray([[3, 3], [1, 3]], dims=("size", "noise"))).all()  # all stimuli without noise: one subset
    votes = made["votes"].sum("pair")
    assert (votes.sel(statistic=["rsa", "rsa_rank"]) == 0).all()
    assert (votes.sel(statistic=["topology", "geometry", "trsa"]) == 4 * done).all()
    topology = made["votes"].sel(statistic="topology").sum(("size", "noise"))
    chosen = made["pair"].values[(topology > 0).values] if "pair" in made.coords else np.flatnonzero(topology.values)
    assert [(round(float(made["lower"][k]), 2), round(float(made["upper"][k]), 2)) for k in chosen] == [(0.4, 0.6)]
    assert made["difference"].sel(statistic="rsa").isnull().all()


def test_the_map_keeps_regions_apart(made: xr.Dataset) -> None:
    between = made["between"].values
    assert (np.diag(between) > 0.5).all()
    assert (np.abs(between[~np.eye(3, dtype=bool)]) < 0.5).all()
    assert np.isnan(np.diag(made["within"].values)).all()
    assert np.isfinite(made["coordinates"].values).all()


def test_rdms_do_where_there_is_nothing_else(tmp_path: Path, made: xr.Dataset) -> None:
    found = run(spec_of(tmp_path, "rdm"))
    xr.testing.assert_identical(found["correct"].sel(noise=0.0), made["correct"].sel(noise=0.0))
    assert found.attrs["noise_on"] == "RDMs"
    assert found.attrs["rdm"] == ""


def test_the_same_job_gives_the_same_file(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, statistics={"rsa": {}, "trsa": {"step": 0.2}})
    xr.testing.assert_identical(run(spec), run(spec))


def test_stimuli_may_stand_in_another_order_in_one_region(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, noise=[0.0])
    before = run(spec)
    ids, order = stimulus_ids(12), np.random.default_rng(0).permutation(12)
    parts = {s: subject_patterns(patterns("B", s, 12)[order], [ids[k] for k in order]) for s in SUBJECTS}
    write_brain(tmp_path / "B.nc", parts)
    xr.testing.assert_identical(run(spec)["correct"], before["correct"])


def test_a_subject_without_a_region_is_left_out_and_named(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    write_brain(tmp_path / "B.nc", {s: subject_patterns(patterns("B", s, 12), stimulus_ids(12)) for s in SUBJECTS[1:]})
    found = run(spec)
    assert found["subject"].values.tolist() == ["S2", "S3", "S4"]
    assert json.loads(found.attrs["absent"]) == ["S1"]


def test_too_few_subjects_are_refused(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    write_brain(tmp_path / "B.nc", {s: subject_patterns(patterns("B", s, 12), stimulus_ids(12)) for s in SUBJECTS[:2]})
    text = "identification of regions: found 2 subjects with every region, expected at least 3, because one is left out"
    with pytest.raises(DataError, match=text):
        run(spec)


def test_other_stimuli_are_refused(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    write_brain(tmp_path / "B.nc", {s: subject_patterns(patterns("B", s, 9), stimulus_ids(9)) for s in SUBJECTS})
    text = (
        "identification of regions: region B, subject S1: found 9 stimuli, 9 of the 12 of region A, subject S1, expected "
        "the same; name subjects and regions that were shown the same stimuli"
    )
    with pytest.raises(DataError, match=text):
        run(spec)


def test_more_stimuli_than_were_shown_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="identification of regions: found a subset of 13 stimuli, expected 3 to 12; correct it"
    ):
        run(spec_of(tmp_path, stimuli=[6, 13]))


def test_a_pattern_that_is_constant_is_told_with_its_place(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    flat = patterns("C", "S3", 12)
    flat[4] = 1.0
    parts = {s: subject_patterns(flat if s == "S3" else patterns("C", s, 12), stimulus_ids(12)) for s in SUBJECTS}
    write_brain(tmp_path / "C.nc", parts)
    text = "identification of regions: region C, subject S3: RDM: found 1 constant patterns of 12"
    with pytest.raises(DataError, match=text):
        run(spec)
