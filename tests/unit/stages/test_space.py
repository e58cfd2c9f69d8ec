"""Stage `space`: from `brain.nc` of every region to `space.nc`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cell_inputs import stimulus_ids, subject_patterns, write_brain

from isocortex.errors import DataError
from isocortex.inference.space_distances import METRICS
from isocortex.similarity.shape.linear import shape_distance
from isocortex.stages import space
from isocortex.storage.tables import read_netcdf
from isocortex.study.options import SPACES

N, R, P = 7, 24, 14
SHAPE = {"alpha": 1.0, "kind": "angular", "group": "orthogonal"}
HALVED = {"least_trials": 8, "blocks": 4, "splits": 6, "shuffles": 19}
SYSTEMS = [[region, subject] for region in ("A", "B") for subject in ("m1", "m2", "m3")]
MICE = {"m1": "Ada", "m2": "Ada", "m3": "Bo"}


def patterns(region: str) -> np.ndarray:
    return np.random.default_rng([*region.encode()]).standard_normal((N, P))


def part(region: str, subject: str, drift: float = 0.0, noise: float = 0.3, n: int = N) -> xr.Dataset:
    """A subject's region: the region's patterns turned by the subject's own rotation, noise, and drift from trial to trial."""
    rng = np.random.default_rng([*f"{region}{subject}".encode()])
    turned = patterns(region)[:n] @ np.linalg.qr(rng.standard_normal((P, P)))[0]
    shown = np.sort(np.random.default_rng([*subject.encode()]).permutation(n * R).reshape(n, R), axis=1)
    trials = turned[:, None] + noise * rng.standard_normal((n, R, P))
    trials += drift * np.sin(2 * np.pi * np.arange(R) / R * 2)[:, None] * rng.standard_normal((n, 1, P))
    data = subject_patterns(trials, stimulus_ids(n))
    data["shown"] = (("stimulus", "repeat"), shown)
    return data.assign_coords(mouse=("neuroid", [MICE[subject]] * P), session=("stimulus", [f"day {subject}"] * n))


def spec_of(folder: Path, methods: dict[str, Any] | None = None, **change: Any) -> dict[str, Any]:
    brains = {}
    for region in dict.fromkeys(region for region, _ in SYSTEMS):
        parts = {s: change.get(f"{region} {s}", part(region, s)) for _, s in SYSTEMS[:3]}
        brains[region] = str(write_brain(folder / f"{region}.nc", {s: p for s, p in parts.items() if p is not None}))
    options = {
        "regions": ["A", "B"], "systems": SYSTEMS, "methods": methods or {"shape": SHAPE}, "halves": HALVED,
        "least_units": 10, "seed": 3,
    }  # fmt: skip
    return {
        "stage": "space",
        "inputs": {"brains": brains},
        "output": str(folder / "space.nc"),
        "options": options,
    }


def run(spec: dict[str, Any], *systems: str) -> xr.Dataset:
    """The file of a job, of these systems only where some are named."""
    if systems:
        spec["options"]["systems"] = [name.split() for name in systems]
    space.run(json.loads(json.dumps(spec, sort_keys=True)), "cpu")  # options come sorted by key
    return read_netcdf(spec["output"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return run(spec_of(tmp_path_factory.mktemp("space")))


def test_metrics_are_those_of_the_study() -> None:
    assert tuple(METRICS) == SPACES


# --- distances ---------------------------------------------------------------------------------------------------------


def test_one_region_is_near_and_another_is_apart(made: xr.Dataset) -> None:
    assert made["system"].values.tolist() == [f"{region} {subject}" for region, subject in SYSTEMS]
    distance, drawn = made["distance"].sel(metric="shape"), made["drawn"].sel(metric="shape").values
    same = made["region"].values[:, None] == made["region"].values[None]
    other, pairs = ~same, same & ~np.eye(6, dtype=bool)
    assert distance.values[pairs].max() < distance.values[other].min()
    assert drawn[other].all()
    assert not drawn[pairs].any()
    np.testing.assert_array_equal(distance, distance.T)
    assert np.isnan(np.diag(distance)).all()


def test_a_region_is_as_far_from_its_like_as_from_itself(made: xr.Dataset) -> None:
    one = made.sel(metric="shape")
    same = (made["region"].values[:, None] == made["region"].values[None]) & np.triu(np.ones((6, 6), dtype=bool), 1)
    apart = one["distance"].values[same]
    # Of six pairs and six systems, each known to about 15 %.
    for kind in ("blocked", "random"):
        assert apart.mean() == pytest.approx(one[f"self_{kind}"].values.mean(), rel=0.15)
    assert one["full"].values[same].mean() < apart.mean()  # twice the trials


def test_numbers_are_matched(made: xr.Dataset) -> None:
    off = ~np.eye(6, dtype=bool)
    one = made.sel(metric="shape")
    assert set(one["n_conditions"].values[off]) == {N}
    assert set(one["n_trials"].values[off]) == {R // 2}
    assert set(one["n_units"].values[off]) == {P}


def test_relations_tell_sessions_from_individuals(made: xr.Dataset) -> None:
    related = made["relation"]
    assert related.sel(system="A m1", system_="B m1") == "same trials"
    assert related.sel(system="A m1", system_="A m2") == "same individual"
    assert related.sel(system="A m1", system_="A m3") == "other individuals"
    assert made["session"].sel(system="A m1") == "day m1"
    assert made["individual"].sel(system="A m3") == "Bo"


def test_permuted_conditions_tell_what_is_arranged_alike(made: xr.Dataset) -> None:
    p = made["p_labels"].sel(metric="shape").values
    same = (made["region"].values[:, None] == made["region"].values[None]) & ~np.eye(6, dtype=bool)
    assert (p[same] == 1 / 20).all()
    other = p[np.triu(~same, 1)]
    assert (other > 0.05).sum() >= 6
    assert np.isnan(made["p_trials"].sel(metric="shape")).all()


def test_all_trials_and_units_give_the_shape_distance(made: xr.Dataset) -> None:
    first, second = (part(region, subject)["trials"].values.astype(float) for region, subject in (("A", "m1"), ("B", "m2")))
    expected = shape_distance(np.nanmean(first, axis=1), np.nanmean(second, axis=1))
    assert float(made["full"].sel(metric="shape", system="A m1", system_="B m2")) == pytest.approx(expected, rel=1e-9)


def test_the_map_keeps_regions_apart(made: xr.Dataset) -> None:
    x = made["coordinates"].sel(metric="shape", axis="x").values
    assert (np.sign(x[:3]) == np.sign(x[0])).all()
    assert (np.sign(x[3:]) == -np.sign(x[0])).all()
    assert 0.3 < float(made["shown"].sel(metric="shape")) <= 1


def test_the_same_job_gives_the_same_file(tmp_path: Path, made: xr.Dataset) -> None:
    xr.testing.assert_identical(run(spec_of(tmp_path)), made)


def test_drift_is_seen_between_stretches(tmp_path: Path) -> None:
    found = run(spec_of(tmp_path, **{f"{region} {s}": part(region, s, drift=1.0) for region, s in SYSTEMS})).sel(metric="shape")
    assert (found["self_blocked"] > 1.2 * found["self_random"]).all()


def test_fewer_trials_and_units_in_one_system_are_matched_in_the_other(tmp_path: Path) -> None:
    few = part("A", "m1").isel(neuroid=slice(0, 11))
    few["shown"][0, 10:] = -1
    few["trials"][0, 10:] = np.nan
    few["shown"][1, 5:] = -1
    few["trials"][1, 5:] = np.nan
    found = run(spec_of(tmp_path, **{"A m1": few})).sel(metric="shape")
    assert found["n_conditions"].values[0].tolist() == [0, *[N - 1] * 5]
    assert found["n_trials"].values[0].tolist() == [0, *[5] * 5]
    assert found["n_units"].values[0].tolist() == [0, *[11] * 5]
    assert found["n_trials"].values[1, 2] == R // 2


def test_systems_that_share_too_few_stimuli_are_not_compared(tmp_path: Path) -> None:
    few = part("A", "m1")
    few["shown"][2:, 4:] = -1
    few["trials"][2:, 4:] = np.nan
    found = run(spec_of(tmp_path, **{"A m1": few})).sel(metric="shape")
    assert found["distance"].sel(system="A m1").isnull().all()
    assert np.isnan(found["self_blocked"].values[0])
    assert not found["drawn"].values[0].any()
    assert np.isnan(found["coordinates"].values[0]).all()
    assert np.isfinite(found["coordinates"].values[1:]).all()


def test_permutations_of_units_are_another_group(tmp_path: Path) -> None:
    found = run(spec_of(tmp_path, {"shape": {**SHAPE, "group": "permutation"}}))
    assert found.attrs["splits"] == HALVED["splits"]
    first = np.nanmean(part("A", "m1")["trials"].values.astype(float), axis=1)
    second = np.nanmean(part("A", "m2")["trials"].values.astype(float), axis=1)
    expected = shape_distance(first, second, group="permutation")
    assert float(found["full"].sel(metric="shape", system="A m1", system_="A m2")) == pytest.approx(expected, rel=1e-9)


# --- distributions of trials -------------------------------------------------------------------------------------------


def noisy(region: str, subject: str, spread: float) -> xr.Dataset:
    """As `part`, where half of a trial's noise is one number, the same direction for all units of the region."""
    rng = np.random.default_rng([*f"{region}{subject}".encode()])
    turn = np.linalg.qr(rng.standard_normal((P, P)))[0]
    trials = patterns("A")[:, None] + 0.3 * rng.standard_normal((N, R, P))
    trials[..., 0] += spread * rng.standard_normal((N, R))
    shown = np.sort(np.random.default_rng([*subject.encode()]).permutation(N * R).reshape(N, R), axis=1)
    data = subject_patterns(trials @ turn, stimulus_ids(N))
    data["shown"] = (("stimulus", "repeat"), shown)
    return data


@pytest.mark.parametrize("distribution", ["gaussian", "energy"])
def test_noise_of_another_shape_is_apart_where_means_are_alike(tmp_path: Path, distribution: str) -> None:
    parts = {f"{region} {s}": noisy(region, s, 0.0 if region == "A" else 3.0) for region, s in SYSTEMS}
    asked = {"stochastic_shape": {"distribution": distribution, "alpha": 1.0}, "shape": SHAPE}
    found = run(spec_of(tmp_path, asked, **parts), "A m1", "A m2", "B m1", "B m2")
    assert found["metric"].values.tolist() == ["shape", "stochastic_shape"]
    one = found.sel(metric="stochastic_shape")
    assert str(one["distribution"].values) == distribution
    same = (found["region"].values[:, None] == found["region"].values[None]) & ~np.eye(4, dtype=bool)
    other = found["region"].values[:, None] != found["region"].values[None]
    assert one["distance"].values[same].max() < one["distance"].values[other].min()
    assert one["drawn"].values[other].all()
    assert not one["drawn"].values[same].any()
    assert np.isfinite(one["p_trials"].values[other]).all()
    assert np.isnan(one["full"]).all()
    assert set(one["n_units"].values[other]) == {{"gaussian": R // 4, "energy": R // 2}[distribution]}
    assert set(one["n_trials"].values[other]) == {R // 2}


def test_what_units_share_makes_regions_alike(tmp_path: Path) -> None:
    """Where both share noise along one direction, shuffled trials are farther apart."""
    parts = {f"{region} {s}": noisy(region, s, 3.0) for region, s in SYSTEMS}
    asked = {"stochastic_shape": {"distribution": "gaussian", "alpha": 0.0}}
    found = run(spec_of(tmp_path, asked, **parts), "A m1", "A m2", "B m3")
    p = found["p_trials"].sel(metric="stochastic_shape").values
    assert (p[np.triu_indices(3, 1)] <= 0.1).all()


def test_auto_is_gaussian_where_every_pair_can_be(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    systems = space.read_systems(spec["inputs"]["brains"], SYSTEMS)
    asked = {"distribution": "auto", "alpha": 1.0}
    assert space.resolved(systems, "stochastic_shape", asked, 12)["distribution"] == "gaussian"
    assert space.resolved(systems, "stochastic_shape", asked, 13)["distribution"] == "energy"
    assert space.resolved(systems, "stochastic_shape", {**asked, "distribution": "gaussian"}, 13)["distribution"] == "gaussian"
    assert space.resolved(systems, "shape", SHAPE, 13) == SHAPE


def test_the_rate_of_units_does_not_decide(tmp_path: Path) -> None:
    """Ten times the rate leaves a stochastic distance where it was."""
    asked = {"stochastic_shape": {"distribution": "gaussian", "alpha": 1.0}}
    before = run(spec_of(tmp_path, asked), "A m1", "B m1")["distance"]
    louder = part("A", "m1")
    louder["trials"] = louder["trials"] * 10
    after = run(spec_of(tmp_path, asked, **{"A m1": louder}), "A m1", "B m1")["distance"]
    np.testing.assert_allclose(after, before, rtol=1e-4)


# --- what is left out and refused --------------------------------------------------------------------------------------


def test_absent_and_small_systems_are_left_out_and_named(tmp_path: Path) -> None:
    found = run(spec_of(tmp_path, **{"A m1": None, "B m2": part("B", "m2").isel(neuroid=slice(0, 9))}))
    assert found["system"].values.tolist() == ["A m2", "A m3", "B m1", "B m3"]
    assert json.loads(found.attrs["left_out"]) == ["A m1", "B m2"]


def test_a_unit_that_failed_in_a_trial_is_left_out(tmp_path: Path) -> None:
    gap = part("A", "m1")
    gap["trials"][3, 4, 2] = np.nan
    assert int(run(spec_of(tmp_path, **{"A m1": gap}))["n_neuroids"][0]) == P - 1
    gap["trials"][3, 4] = np.nan  # the trial says it was shown
    with pytest.raises(DataError, match="space: region A, subject m1: no neuroid has a response in every trial; leave the"):
        run(spec_of(tmp_path, **{"A m1": gap}))


def test_one_system_is_refused(tmp_path: Path) -> None:
    spec = spec_of(
        tmp_path, **{f"{region} {s}": None for region, s in SYSTEMS if (region, s) not in (("A", "m1"), ("B", "m1"))}
    )
    spec["options"]["systems"] = [["A", "m1"]]
    with pytest.raises(DataError, match=r"space: found 1 regions of subjects \(region A, subject m1\), expected at least 2"):
        run(spec)


def test_too_few_trials_everywhere_are_refused(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    spec["options"]["halves"] = {**HALVED, "least_trials": 30}
    with pytest.raises(DataError, match="space: no two systems share 3 stimuli with 30 trials each; lower least_trials, or"):
        run(spec)
