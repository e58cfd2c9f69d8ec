"""shapes.nc: a region's subjects and all models' layers in one space."""

import numpy as np
import pytest
from cell_inputs import common_options, stimulus_ids, subject_patterns, write_brain, write_kernels

from isocortex.errors import DataError
from isocortex.similarity.shape import shape_distance
from isocortex.stages import shapes
from isocortex.storage.tables import read_netcdf

N = 24


def responses(features, rng, noise=0.5, repeats=10, p=9):
    signal = features @ rng.normal(size=(features.shape[1], p)) / np.sqrt(features.shape[1])
    return signal[:, None] + noise * rng.normal(size=(len(features), repeats, p))


def made(tmp_path, metrics, n_subjects=2, odd=False):
    rng = np.random.default_rng(0)
    ids = stimulus_ids(N)
    models = {"net": {name: rng.normal(size=(N, 6)) for name in ("a", "b")}, "other": {"a": rng.normal(size=(N, 40))}}
    subjects = {f"S{k}": subject_patterns(responses(models["net"]["b"], rng), ids) for k in range(n_subjects)}
    if odd:
        subjects["odd"] = subject_patterns(responses(models["net"]["b"][:20], rng), ids[:20])
    brain = write_brain(tmp_path / "brain.nc", subjects)
    kernels = {m: {"all": str(write_kernels(tmp_path / f"{m}.json", layers, ids))} for m, layers in models.items()}
    options = {**common_options(dict.fromkeys(subjects, "all"), ""), "metrics": metrics, "models": dict.fromkeys(models)}
    spec = {"inputs": {"brain": str(brain), "kernels": kernels}, "options": options, "output": str(tmp_path / "shapes.nc")}
    shapes.run(spec, "cpu")
    return read_netcdf(tmp_path / "shapes.nc"), models, subjects


def test_distances_of_all_systems(tmp_path):
    data, models, subjects = made(tmp_path, {"shape": {}}, odd=True)
    assert data["system"].values.tolist() == ["S0", "S1", "net a", "net b", "other a"]
    assert data["kind"].values.tolist() == ["subject", "subject", "layer", "layer", "layer"]
    systems = [
        *(subjects[s]["response"].values.astype(float) for s in ("S0", "S1")),
        *models["net"].values(),
        models["other"]["a"],
    ]
    expected = [[0.0 if a is b else shape_distance(a, b) for b in systems] for a in systems]
    assert data["distance"].sel(metric="shape").values == pytest.approx(np.array(expected), abs=1e-6)
    own = data["self_distance"].sel(metric="shape").values
    assert np.isnan(own[2:]).all()
    assert (own[:2] > 0).all()
    assert data["dispersion"].item() > 0
    assert 0 < data["shown"].item() <= 1
    between = np.linalg.norm(np.diff(data["coordinates"].values[0][[1, 3]], axis=0))
    assert between < np.linalg.norm(np.diff(data["coordinates"].values[0][[1, 4]], axis=0))


def test_noisy_systems_are_set_out_with_one_number_of_dimensions(tmp_path):
    data, _, _ = made(tmp_path, {"shape": {"alpha": 0.5}, "stochastic_shape": {"starts": 1}})
    assert data["metric"].values.tolist() == ["shape", "stochastic_shape"]
    table = data["distance"].sel(metric="stochastic_shape").values
    assert np.isfinite(table).all()
    assert table == pytest.approx(table.T)
    assert (table[np.triu_indices(5, 1)] > 0).all()
    # The layer that drives both is the nearest of the layers to either.
    assert (table[:2, 2:].argmin(axis=1) == 1).all()


def test_a_subject_without_repeats_is_in_the_space_of_means_alone(tmp_path):
    rng = np.random.default_rng(0)
    ids = stimulus_ids(N)
    x = rng.normal(size=(N, 6))
    trials = responses(x, rng)
    subjects = {"many": subject_patterns(trials, ids), "one": subject_patterns(trials[:, :1], ids)}
    brain = write_brain(tmp_path / "brain.nc", subjects)
    kernels = {"net": {"all": str(write_kernels(tmp_path / "net.json", {"a": x, "b": x**2}, ids))}}
    options = {**common_options(dict.fromkeys(subjects, "all"), ""), "models": {"net": None}}
    options["metrics"] = {"shape": {}, "stochastic_shape": {"starts": 1}}
    spec = {"inputs": {"brain": str(brain), "kernels": kernels}, "options": options, "output": str(tmp_path / "s.nc")}
    shapes.run(spec, "cpu")
    data = read_netcdf(tmp_path / "s.nc")
    assert data["system"].values.tolist() == ["many", "one", "net a", "net b"]
    known = np.isfinite(data["distance"].sel(metric="stochastic_shape").values)
    assert known.tolist() == [[a != 1 and b != 1 for b in range(4)] for a in range(4)]
    assert np.isfinite(data["distance"].sel(metric="shape").values).all()
    options["metrics"] = {"stochastic_shape": {}}
    options["subjects"] = {"one": "all"}
    with pytest.raises(DataError, match="shapes: region 'V4': found one trial of each stimulus, expected repeats"):
        shapes.run({**spec, "options": options}, "cpu")


def test_a_lone_subject_and_layer_have_no_map(tmp_path):
    rng = np.random.default_rng(0)
    ids = stimulus_ids(N)
    x = rng.normal(size=(N, 6))
    brain = write_brain(tmp_path / "brain.nc", {"S0": subject_patterns(responses(x, rng, repeats=1), ids)})
    kernels = {"net": {"all": str(write_kernels(tmp_path / "net.json", {"a": x}, ids))}}
    options = {**common_options({"S0": "all"}, ""), "metrics": {"shape": {}}, "models": {"net": None}}
    shapes.run(
        {"inputs": {"brain": str(brain), "kernels": kernels}, "options": options, "output": str(tmp_path / "s.nc")}, "cpu"
    )
    data = read_netcdf(tmp_path / "s.nc")
    assert np.isnan(data["coordinates"].values).all()
    assert np.isnan(data["self_distance"].values).all()
    assert np.isnan(data["dispersion"].item())
