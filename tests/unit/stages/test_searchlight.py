"""Stage `searchlight` on data of exact layout."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from cell_inputs import common_options, stimulus_ids, subject_patterns, subject_rdm, write_brain, write_kernels

from isocortex.errors import DataError
from isocortex.similarity import compare_rdms, rdm
from isocortex.stages import searchlight
from isocortex.storage.tables import read_netcdf
from isocortex.study.options import SearchlightRsa

N = 16
SHAPE = (5, 4, 4)


def voxels() -> np.ndarray:
    return 2.0 * np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1).reshape(-1, 3) - 30.0


def subject(seed: int, features: np.ndarray, points: np.ndarray | None = None, **attrs: Any) -> Any:
    """The features' patterns in the half of the grid with small x, noise in the other."""
    rng = np.random.default_rng(seed)
    points = voxels() if points is None else points
    signal = features @ rng.normal(size=(features.shape[1], len(points))) * (points[:, 0] < -25.0)
    trials = signal[:, None] + 0.3 * rng.normal(size=(N, 2, len(points)))
    data = subject_patterns(trials, stimulus_ids(N))
    return data.assign_coords({axis: ("neuroid", points[:, k]) for k, axis in enumerate("xyz")}).assign_attrs(attrs)


@pytest.fixture
def features() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=(N, 3)) for name in ("early", "middle", "late")}


def spec(folder: Path, subjects: dict[str, Any], features: dict[str, np.ndarray], level: str = "patterns", **more: Any) -> Any:
    given = {"radius": 2.0, "min_neuroids": 5, "permutations": 99, **more}
    contaminated = given.pop("contaminated", [])
    options = {**common_options(dict.fromkeys(subjects, "all")), "contaminated": contaminated, "inference": {"seed": 0}}
    options["methods"] = {"rsa": SearchlightRsa.model_validate(given).model_dump(exclude_none=True)}
    brain = write_brain(folder / "brain.nc", subjects, level)
    kernels = write_kernels(folder / "k.json", features, stimulus_ids(N))
    inputs = {"brain": str(brain), "kernels": {"all": str(kernels)}}
    return {"stage": "searchlight", "inputs": inputs, "output": str(folder / "net" / "searchlight.nc"), "options": options}


def made(folder: Path, *arguments: Any, **more: Any) -> tuple[Any, dict[str, Any]]:
    job = spec(folder, *arguments, **more)
    searchlight.run(job, "cpu")
    data = read_netcdf(job["output"])
    return data, {one["subject"]: one for one in json.loads(data.attrs["maps"])}


def of(data: Any, subject: str) -> Any:
    return data.isel(centre=data["subject"].values.astype(str) == subject)


def test_maps_of_two_subjects_are_those_of_a_loop(tmp_path: Path, features: dict[str, np.ndarray]) -> None:
    subjects = {f"S{k}": subject(k, features["middle"]) for k in (1, 2)}
    data, maps = made(tmp_path, subjects, features)
    points, models = voxels(), np.stack([rdm(one) for one in features.values()])
    for name, given in subjects.items():
        found = of(data, name)
        ids = given["neuroid_id"].values.tolist()
        near = {row: np.linalg.norm(points - point, axis=1) <= 2.0 for row, point in enumerate(points)}
        centres = [row for row, inside in near.items() if inside.sum() >= 5]
        assert found["neuroid_id"].values.tolist() == [ids[row] for row in centres]
        np.testing.assert_array_equal(np.stack([found[axis] for axis in "xyz"], -1), points[centres])
        assert found["n_neuroids"].values.tolist() == [near[row].sum() for row in centres]
        responses = given["response"].values.astype(float)
        scores = np.array([compare_rdms(rdm(responses[:, near[row]]), models) for row in centres])
        # Kernels are read, patterns are not: the models' RDMs agree to rounding.
        np.testing.assert_allclose(found["layer_score"].values, scores, atol=1e-9)
        np.testing.assert_allclose(found["score"].values, scores.max(1), atol=1e-9)
        assert found["best_layer"].values.tolist() == [list(features)[k] for k in scores.argmax(1)]
        signal, noise = found["x"].values < -27.0, found["x"].values > -23.0
        assert (found["p_max"].values[signal] < 0.05).mean() > 0.5  # seven voxels see it in seven random directions
        assert (found["p_max"].values[noise] >= 0.05).all()
        assert (found["p"].values <= found["p_max"].values).all()
        np.testing.assert_array_equal(found["p_corrected"], found["p_max"])
        said = maps[name]
        assert said["n_significant"] == (found["p_max"].values < 0.05).sum()
        assert said["peak"]["score"] == found["score"].values.max()
        assert said["peak"]["layer"] == "middle"
        assert (said["n_null"], said["correct"]) == (99, "max")
    assert data.attrs["rows"] == "[]"
    assert set(maps) == {"S1", "S2"}


def test_images_hold_the_maps_and_are_named_with_their_digests(tmp_path: Path, features: dict[str, np.ndarray]) -> None:
    affine = np.array([[0.0, -2, 0, 0], [2, 0, 0, -30], [0, 0, 2, -30], [0, 0, 0, 1]])
    known = {"affine": json.dumps(affine.ravel().tolist()), "shape": json.dumps([20, 30, 10])}
    subjects = {"S1": subject(1, features["middle"]), "S2": subject(2, features["middle"], **known)}
    stale = tmp_path / "net" / "searchlight-rsa-S9.nii.gz"
    stale.parent.mkdir()
    stale.write_bytes(b"of a subject that has gone")
    data, maps = made(tmp_path, subjects, features)
    assert not stale.exists()
    for name, shape in (("S1", SHAPE), ("S2", (20, 30, 10))):
        path = tmp_path / "net" / maps[name]["image"]
        assert path.name == f"searchlight-rsa-{name}.nii.gz"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == maps[name]["sha256"]
        image = nibabel.load(path)
        values = image.get_fdata()
        assert maps[name]["affine_given"] == (name == "S2")
        found = of(data, name)
        points = np.stack([found[axis].values for axis in "xyz"], -1)
        index = np.rint((points - image.affine[:3, 3]) @ np.linalg.inv(image.affine[:3, :3]).T).astype(int)
        for k, expected in enumerate((found["score"], 1 - found["p_max"], 1 - found["p"])):
            np.testing.assert_allclose(values[(*index.T, k)], expected, rtol=1e-6)
        if name == "S2":
            assert values.shape == (*shape, 3)
            np.testing.assert_array_equal(image.affine, affine)
        assert (values != 0).any(-1).sum() <= len(points)
    before = {path.name: path.read_bytes() for path in (tmp_path / "net").iterdir()}
    made(tmp_path, subjects, features)
    assert {path.name: path.read_bytes() for path in (tmp_path / "net").iterdir()} == before


def test_one_layer_can_be_named(tmp_path: Path, features: dict[str, np.ndarray]) -> None:
    data, maps = made(tmp_path, {"S1": subject(1, features["middle"])}, features, layer="late")
    assert data["layer"].values.tolist() == ["late"]
    assert maps["S1"]["null_kind"] == "permute_stimuli"
    with pytest.raises(DataError, match="model 'net': no layer has an RDM: no layer in the store"):
        made(tmp_path, {"S1": subject(1, features["middle"])}, features, layer="later")


def test_clusters_and_the_mean_map_of_one_space(tmp_path: Path, features: dict[str, np.ndarray]) -> None:
    points = voxels()
    subjects = {"S1": subject(1, features["middle"]), "S2": subject(2, features["middle"], points[:-1])}
    more = {"correct": "cluster", "cluster_p": 0.02, "common_space": True}
    data, maps = made(tmp_path, subjects, features, **more)
    assert list(maps) == ["S1", "S2", "all"]
    mean, first, second = (of(data, name) for name in ("all", "S1", "S2"))
    places = [list(zip(*(one[axis].values.tolist() for axis in "xyz"), strict=True)) for one in (mean, first, second)]
    assert set(places[0]) == set(places[1]) & set(places[2])
    rows = [[at.index(place) for place in places[0]] for at in places[1:]]
    expected = (first["layer_score"].values[rows[0]] + second["layer_score"].values[rows[1]]) / 2
    np.testing.assert_allclose(mean["layer_score"], expected, atol=1e-12)
    assert set(mean["neuroid_id"].values.tolist()) == {""}
    heaviest = maps["all"]["clusters"][0]
    assert heaviest["p"] < 0.05
    assert heaviest["n_centres"] == (mean["cluster"].values == 1).sum() > 5
    assert set(mean["p_corrected"].values[mean["cluster"].values == 1]) == {heaviest["p"]}
    assert (mean["p_corrected"].values[mean["cluster"].values == 0] == 1).all()
    assert (tmp_path / "net" / "searchlight-rsa-all.nii.gz").exists()


def test_what_the_model_saw_is_mapped_and_not_tested(tmp_path: Path, features: dict[str, np.ndarray]) -> None:
    subjects = {f"S{k}": subject(k, features["middle"]) for k in (1, 2)}
    data, maps = made(tmp_path, subjects, features, contaminated=["S2"], common_space=True)
    for name, seen in (("S1", False), ("S2", True), ("all", True)):
        assert maps[name]["contaminated"] == seen
        assert np.isnan(of(data, name)["p_max"]).all() == seen
        assert np.isfinite(of(data, name)["score"]).all()
        assert (maps[name]["n_significant"] is None) == seen
    assert (nibabel.load(tmp_path / "net" / maps["S2"]["image"]).get_fdata()[..., 1:] == 0).all()


def test_positions_on_no_grid_make_a_map_and_no_image(tmp_path: Path, features: dict[str, np.ndarray]) -> None:
    points = np.random.default_rng(3).uniform(-30, -20, (60, 3))
    subjects = {"S1": subject(1, features["middle"], points)}
    data, maps = made(tmp_path, subjects, features, nearest=9)
    assert set(data["n_neuroids"].values.tolist()) == {9}
    assert (maps["S1"]["image"], len(list((tmp_path / "net").iterdir()))) == ("", 1)
    with pytest.raises(DataError, match="region 'V4', subject 'S1': searchlight: found positions on no regular grid"):
        made(tmp_path, subjects, features, nearest=9, correct="cluster", cluster_p=0.05)


def test_what_cannot_be_searched_is_refused_in_one_line(tmp_path: Path, features: dict[str, np.ndarray]) -> None:
    good = subject(1, features["middle"])
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (
            good.drop_vars("z"),
            {},
            "region 'V4', subject 'S1': searchlight: found 80 of 80 neuroids without a position, expected x",
        ),
        (good, {"min_neuroids": 8}, "subject 'S1': searchlight: found at most 7 neuroids in a neighbourhood, expected 8"),
        (good.assign_attrs(affine="[1, 0]"), {}, "subject 'S1': searchlight: found affine .*, expected 16 numbers"),
    ]
    for data, more, text in cases:
        with pytest.raises(DataError, match=text) as caught:
            made(tmp_path, {"S1": data}, features, **more)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="found level 'rdm', expected patterns; a searchlight needs responses"):
        made(tmp_path, {"S1": subject_rdm(np.zeros((N, N)), stimulus_ids(N))}, features, level="rdm")
