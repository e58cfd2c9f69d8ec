"""Files of rsatoolbox, field by field as it writes and reads them; what it makes of them: tests/benchmarks/export_check.py."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest
import xarray as xr

from isocortex.__main__ import main
from isocortex.errors import DataError, IsocortexError
from isocortex.recordings.regions import build_tree
from isocortex.similarity.export import to_rsatoolbox, to_xarray, write_rsatoolbox, write_rsatoolbox_dataset
from isocortex.similarity.rdm import crossnobis, noise_precision, rdm, residuals_of_repeats, to_square
from isocortex.storage.tables import write_tree

IDS = ["cat", "dog", "fée", "owl"]


def fields(group):
    """A file as rsatoolbox's `read_dict_hdf5` sees it."""
    content = dict(group.attrs)
    for name, value in group.items():
        if isinstance(value, h5py.Group):
            content[name] = fields(value)
        else:
            array = np.array(value)
            content[name] = array.astype(str) if array.dtype.type is np.bytes_ else array
    return content


def read(path):
    with h5py.File(path) as file:
        return fields(file)


@pytest.fixture
def vectors():
    return np.random.default_rng(0).random((2, 6))


def test_a_file_of_rdms_has_rsatoolboxs_fields(tmp_path, vectors):
    path = tmp_path / "out.h5"
    write_rsatoolbox(
        path, vectors, IDS, "euclidean", {"subject": ["S1", "S2"], "age": [30, 41]}, {"study": "demo", "year": 2026}
    )
    content = read(path)
    assert set(content) == {
        "dissimilarities", "descriptors", "rdm_descriptors", "pattern_descriptors", "dissimilarity_measure",
    }  # fmt: skip
    assert np.array_equal(content["dissimilarities"], vectors)
    assert content["dissimilarities"].dtype == np.float64
    assert content["dissimilarity_measure"] == "squared euclidean"
    assert content["descriptors"] == {"study": "demo", "year": 2026}
    assert content["pattern_descriptors"]["stimulus"].tolist() == ["cat", "dog", "f\\xe9e", "owl"]  # it reads ASCII only
    assert content["pattern_descriptors"]["index"].tolist() == [0, 1, 2, 3]
    assert content["rdm_descriptors"]["subject"].tolist() == ["S1", "S2"]
    assert content["rdm_descriptors"]["age"].tolist() == [30, 41]
    assert content["rdm_descriptors"]["index"].tolist() == [0, 1]
    with h5py.File(path) as file:  # bytes of fixed length: of others it would make objects
        assert file["rdm_descriptors/subject"].dtype == "S2"


def test_one_vector_is_one_rdm_and_files_are_the_same_twice(tmp_path, vectors):
    for name in ("a.hdf5", "b.hdf5"):
        write_rsatoolbox(tmp_path / name, vectors[0], IDS, "crossnobis")
    assert read(tmp_path / "a.hdf5")["dissimilarities"].shape == (1, 6)
    assert read(tmp_path / "a.hdf5")["descriptors"] == {}
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.hdf5", "b.hdf5"]


def test_a_file_of_patterns_has_rsatoolboxs_fields(tmp_path):
    values = np.random.default_rng(0).random((3, 2)).astype(np.float32)
    path = tmp_path / "data.h5"
    write_rsatoolbox_dataset(
        path, values, {"stimulus": ["a", "b", "a"], "repeat": [0, 0, 1]}, {"x": [0.5, 1.5]}, {"subject": "S1"}
    )
    content = read(path)
    assert set(content) == {"measurements", "descriptors", "obs_descriptors", "channel_descriptors", "type"}
    assert content["type"] == "Dataset"
    assert np.array_equal(content["measurements"], values)
    assert content["measurements"].dtype == np.float64
    assert content["descriptors"] == {"subject": "S1"}
    assert content["obs_descriptors"]["stimulus"].tolist() == ["a", "b", "a"]
    assert content["obs_descriptors"]["repeat"].tolist() == [0, 0, 1]
    assert content["channel_descriptors"]["x"].tolist() == [0.5, 1.5]


def test_what_does_not_fit_is_refused_and_leaves_no_file(tmp_path, vectors):
    with pytest.raises(DataError, match=r"found file name 'out.txt', expected one that ends in \.h5 or \.hdf5"):
        write_rsatoolbox(tmp_path / "out.txt", vectors, IDS, "euclidean")
    with pytest.raises(DataError, match="found 3 stimulus ids, expected 4 as in the RDMs"):
        write_rsatoolbox(tmp_path / "out.h5", vectors, IDS[:3], "euclidean")
    with pytest.raises(
        DataError, match=r"descriptor 'subject' has shape \(1,\), expected \(2,\), one value for each of the RDMs"
    ):
        write_rsatoolbox(tmp_path / "out.h5", vectors, IDS, "euclidean", {"subject": ["S1"]})
    with pytest.raises(DataError, match=r"RDM vectors of shape \(1, 2, 6\), expected \(n_rdms, n_pairs\)"):
        write_rsatoolbox(tmp_path / "out.h5", vectors[None], IDS, "euclidean")
    with pytest.raises(DataError, match=r"patterns of shape \(4,\)"):
        write_rsatoolbox_dataset(tmp_path / "out.h5", np.ones(4), {})
    assert not list(tmp_path.iterdir())


def test_xarray_names_the_leading_axes(vectors):
    made = to_xarray(vectors[None], IDS, region=["V4"], subject=["S1", "S2"], method="euclidean")
    assert made.dims == ("region", "subject", "stimulus", "stimulus_")
    assert made["stimulus_id"].values.tolist() == IDS
    assert made["method"].item() == "euclidean"
    assert made.sel(region="V4", subject="S2").values == pytest.approx(to_square(vectors[1]))
    assert to_xarray(vectors[0], IDS).dims == ("stimulus", "stimulus_")
    with pytest.raises(DataError, match=r"found coordinates of lengths \{'subject': 3\}, expected one for each leading axis"):
        to_xarray(vectors, IDS, subject=["a", "b", "c"])
    with pytest.raises(DataError, match="found 2 stimulus ids, expected 4"):
        to_xarray(vectors, IDS[:2], subject=["a", "b"])


def test_objects_of_rsatoolbox_need_it(monkeypatch, vectors):
    monkeypatch.setitem(sys.modules, "rsatoolbox.rdm", None)
    with pytest.raises(IsocortexError, match="rsatoolbox is not installed; pip install rsatoolbox, or write a file"):
        to_rsatoolbox(vectors, IDS, "euclidean")


def test_objects_of_rsatoolbox_get_its_arguments(monkeypatch, vectors):
    class Stub:
        class RDMs:
            def __init__(self, dissimilarities, measure, descriptors, rdm_descriptors, pattern_descriptors):
                self.all = (dissimilarities, measure, descriptors, rdm_descriptors, pattern_descriptors)

    monkeypatch.setitem(sys.modules, "rsatoolbox", Stub())
    monkeypatch.setitem(sys.modules, "rsatoolbox.rdm", Stub())
    made = to_rsatoolbox(vectors, IDS, "correlation", {"subject": ["S1", "S2"]}).all
    assert np.array_equal(made[0], vectors)
    assert made[1:4] == ("correlation", {}, {"subject": ["S1", "S2"], "index": [0, 1]})
    assert made[4] == {"stimulus": IDS, "index": [0, 1, 2, 3]}


def subject(ids, seed, neuroids=3):
    trials = np.random.default_rng(seed).normal(size=(len(ids), 3, neuroids)).astype(np.float32)
    trials[-1, 2] = np.nan
    return xr.Dataset(
        {
            "trials": (("stimulus", "repeat", "neuroid"), trials),
            "response": (("stimulus", "neuroid"), np.nanmean(trials, axis=1)),
        },
        coords={
            "stimulus_id": ("stimulus", np.array(ids)),
            "neuroid_id": ("neuroid", np.array([f"n{k}" for k in range(neuroids)])),
            "x": ("neuroid", np.arange(neuroids, dtype=np.float64)),
        },
    )


@pytest.fixture
def results(tmp_path):
    """A study of two regions; in the second a subject saw one stimulus more."""
    study = tmp_path / "study"
    for region, other in (("V1", list("abcd")), ("V4", list("bcdae"))):
        parts = {"S1": subject(list("abcd"), 0), "S2": subject(other, 1, neuroids=5)}
        write_tree(build_tree(parts, {}, {"region": region, "level": "patterns", "study": "demo"}), study / region / "brain.nc")
    return study


def test_the_command_writes_rdms_and_patterns(results, tmp_path, capsys):
    target = tmp_path / "out.h5"
    assert main(["export", str(results / "V1"), "--to", str(target)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{target}: 2 RDMs of 4 stimuli"
    content = read(target)
    assert content["dissimilarity_measure"] == "correlation"
    assert content["rdm_descriptors"]["subject"].tolist() == ["S1", "S2"]
    assert content["rdm_descriptors"]["region"].tolist() == ["V1", "V1"]
    data = subject(list("abcd"), 0)
    assert content["dissimilarities"][0] == pytest.approx(rdm(data["response"].values, "correlation"))
    patterns = read(tmp_path / "out-V1-S1.h5")
    assert patterns["descriptors"] == {"subject": "S1", "region": "V1"}
    assert patterns["obs_descriptors"]["stimulus"].tolist() == list("aaabbbcccdd")  # the missing presentation is no row
    assert patterns["obs_descriptors"]["repeat"].tolist() == [0, 1, 2] * 3 + [0, 1]
    assert patterns["measurements"][-1] == pytest.approx(data["trials"].values[3, 1])
    assert patterns["channel_descriptors"]["neuroid_id"].tolist() == ["n0", "n1", "n2"]
    assert patterns["channel_descriptors"]["x"].tolist() == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == ["out-V1-S1.h5", "out-V1-S2.h5", "out.h5"]


def test_subjects_of_different_stimuli_share_one_file(results, tmp_path):
    target = tmp_path / "out.h5"
    assert main(["export", str(results), "--to", str(target), "--rdm", "crossnobis"]) == 0
    content = read(target)
    assert content["dissimilarity_measure"] == "crossnobis"
    assert content["pattern_descriptors"]["stimulus"].tolist() == list("abcde")
    squares = to_square(content["dissimilarities"])
    assert np.isnan(squares[:3, :4, 4]).all()  # who did not see e
    trials = subject(list("bcdae"), 1, neuroids=5)["trials"].values
    expected = to_square(crossnobis(trials, noise_precision(*residuals_of_repeats(trials))))
    order = [list("bcdae").index(stimulus) for stimulus in "abcde"]
    assert squares[3] == pytest.approx(expected[np.ix_(order, order)])
    assert len(list(tmp_path.glob("out-*.h5"))) == 4


def test_one_region_of_a_study_can_be_chosen(results, tmp_path, capsys):
    target = tmp_path / "out.h5"
    assert main(["export", str(results), "--to", str(target), "--region", "V4"]) == 0
    assert read(target)["rdm_descriptors"]["region"].tolist() == ["V4", "V4"]
    assert main(["export", str(results), "--to", str(target), "--region", "IT"]) == 1
    assert "found no region 'IT', expected one of V1, V4" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "nowhere"), "--to", str(target)]) == 1
    assert "nowhere: found no brain.nc here or one folder below" in capsys.readouterr().err
    assert main(["export", str(results), "--to", str(tmp_path / "out.csv")]) == 1
    assert "--to: found 'out.csv', expected a name that ends in .h5 or .hdf5" in capsys.readouterr().err
    assert main(["export", str(results), "--to", str(target), "--rdm", "euclid"]) == 1
    assert "--rdm: found 'euclid', expected one of correlation, euclidean" in capsys.readouterr().err


def test_published_rdms_are_exported_as_they_are(tmp_path, vectors):
    square = to_square(vectors[0])
    part = xr.Dataset({"rdm": (("stimulus", "stimulus_"), square)}, coords={"stimulus_id": ("stimulus", IDS)})
    write_tree(build_tree({"S1": part}, {}, {"region": "IT"}), tmp_path / "IT" / "brain.nc")
    assert main(["export", str(tmp_path / "IT" / "brain.nc"), "--to", str(tmp_path / "out.h5")]) == 0
    content = read(tmp_path / "out.h5")
    assert content["dissimilarities"][0] == pytest.approx(vectors[0])
    assert content["dissimilarity_measure"] == "published"
    assert not list(tmp_path.glob("out-*.h5"))


def test_a_region_that_has_no_such_rdm_is_named(results, tmp_path, capsys):
    tree = {"S1": subject(list("abcd"), 0).isel(repeat=[0])}
    write_tree(build_tree(tree, {}, {"region": "V1"}), tmp_path / "V1" / "brain.nc")
    assert main(["export", str(tmp_path / "V1"), "--to", str(tmp_path / "out.h5"), "--rdm", "crossnobis"]) == 1
    assert "error: region 'V1', subject 'S1': rdm crossnobis: found 1 repeat of the stimuli" in capsys.readouterr().err
    assert not (tmp_path / "out.h5").exists()
