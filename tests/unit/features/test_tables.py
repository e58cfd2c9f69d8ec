from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isocortex.errors import DataError, StudyError
from isocortex.features.model import Context
from isocortex.features.sources import build

N = 4
VALUES = np.random.default_rng(0).standard_normal((N, 2, 3))
TABLE = pd.DataFrame({
    "stimulus_id": [f"s{row}" for row in range(N)],
    "digest": "",
    "path": "",
    "row": -1,
    "caption": "",
    "animal": [0, 1, 1, 0],
    "category": ["cat", "dog", "car", "cat"],
    "size": [0.5, 1.0, 2.5, 0.5],
    "kind": ["a", "b", "b", "a"],
    "gap": ["a", None, "b", "c"],
    "same": ["x"] * N,
})  # fmt: skip


def context(root: Path, table: pd.DataFrame = TABLE) -> Context:
    return Context(root, root / "study", table, model="m")


def features(entry: dict, root: Path, rows: slice = slice(None)) -> dict[str, np.ndarray]:
    model = build(entry, context(root))
    (batch,) = model.features(TABLE.iloc[rows], model.layers)
    return {layer: values["activation"] for layer, values in batch.items()}


def test_the_same_rows_from_every_format(tmp_path):
    import xarray
    import zarr

    np.savez(tmp_path / "f.npz", pcs=VALUES)
    np.save(tmp_path / "f.npy", VALUES)
    zarr.save(tmp_path / "f.zarr", VALUES)
    xarray.Dataset({"pcs": (("stimulus", "a", "b"), VALUES)}).to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    for name in ("f.npz", "f.npy", "f.zarr", "f.nc"):
        found = features({"source": "precomputed", "path": name}, tmp_path, slice(1, 3))
        np.testing.assert_array_equal(found["activation"], VALUES.reshape(N, -1)[1:3].astype(np.float32))


def test_several_layers_rows_matched_by_id_and_a_file_beside_the_study(tmp_path):
    (tmp_path / "study").mkdir()
    order = [2, 0, 3, 1]
    np.savez(tmp_path / "study" / "f.npz", pcs=VALUES[order], ids=np.array([f"s{row}" for row in order]))
    np.savez(tmp_path / "g.npz", words=VALUES[:, 0])
    layers = {"late": {"path": "study/f.npz", "key": "pcs", "ids": "ids"}, "words": {"path": "g.npz", "key": "words"}}
    found = features({"source": "precomputed", "layers": layers}, tmp_path)
    assert list(found) == ["late", "words"]
    np.testing.assert_array_equal(found["late"], VALUES.reshape(N, -1).astype(np.float32))
    beside = features({"source": "precomputed", "path": "f.npz", "key": "pcs", "ids": "ids"}, tmp_path, slice(3, 4))
    np.testing.assert_array_equal(beside["pcs"], VALUES.reshape(N, -1)[3:].astype(np.float32))


def test_a_changed_file_changes_the_digest(tmp_path):
    entry = {"source": "precomputed", "path": "f.npy"}
    digests = []
    for factor in (1, 1, 2):
        np.save(tmp_path / "f.npy", VALUES * factor)
        digests.append(build(entry, context(tmp_path)).digest)
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ({"path": "absent.npz"}, StudyError, r"models\.m\.path: found no 'absent\.npz'"),
        ({"path": "f.npz", "key": "pc"}, DataError, "found keys few, ids, pcs, text, wrong_ids, expected 'pc'"),
        ({"path": "f.npz", "key": "few"}, DataError, "found 3 rows, expected 4, one per stimulus"),
        ({"path": "f.npz", "key": "text"}, DataError, "expected numbers"),
        ({"path": "f.npz", "key": "pcs", "ids": "wrong_ids"}, DataError, r"no row for 1 of 4 ids \(first 's3'\)"),
        ({"path": "f.npz", "key": "few", "ids": "ids"}, DataError, "found 3 rows and 4 ids"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, place, error, message):
    ids = np.array([f"s{row}" for row in range(N)])
    np.savez(tmp_path / "f.npz", pcs=VALUES, few=VALUES[:3], text=ids, ids=ids, wrong_ids=np.array(["s0", "s1", "s2", "t"]))
    with pytest.raises(error, match=message) as caught:
        build({"source": "precomputed", **place}, context(tmp_path))
    assert "\n" not in str(caught.value)


def test_labels_as_columns(tmp_path):
    found = features({"source": "labels", "columns": ["animal", "category", "size", "kind"]}, tmp_path)["labels"]
    expected = [[0, 0, 1, 0, 0.5, 0], [1, 0, 0, 1, 1.0, 1], [1, 1, 0, 0, 2.5, 1], [0, 0, 1, 0, 0.5, 0]]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_labels_that_cannot_be_features(tmp_path):
    for column, error, message in [
        ("categry", StudyError, "found 'categry', expected a label column; nearest 'category' of animal, category"),
        ("digest", StudyError, "found 'digest', expected a label column"),
        ("gap", DataError, "label 'gap' is missing for 1 of 4 stimuli"),
        ("same", DataError, "label 'same' has the one value 'x'"),
    ]:
        with pytest.raises(error, match=message):
            build({"source": "labels", "columns": [column]}, context(tmp_path))


def test_a_readout_cannot_have_maps_of_a_table(tmp_path):
    model = build({"source": "labels", "columns": ["animal"]}, context(tmp_path))
    with pytest.raises(StudyError, match=r"readout\.layers: found 'labels' of a labels model"):
        list(model.features(TABLE, ["labels"], ["labels"]))
