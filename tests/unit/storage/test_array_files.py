"""Arrays in MAT, HDF5 and netCDF files: what is in them, in which order, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
import xarray as xr

from isocortex.errors import DataError
from isocortex.storage.arrays import open_array
from isocortex.storage.hdf5 import Slices
from isocortex.storage.images import as_rgb

VALUES = np.arange(24.0).reshape(2, 3, 4)


def version_73(path: Path) -> Path:
    """A MAT file of version 7.3: axes in reverse, classes in attributes, cells as references, MATLAB's header before HDF5's."""
    with h5py.File(path, "w", userblock_size=512) as file:

        def put(name: str, values: Any, kind: str, **attrs: Any) -> h5py.Dataset:
            node = file.create_dataset(name, data=values)
            node.attrs["MATLAB_class"] = np.bytes_(kind)
            for key, value in attrs.items():
                node.attrs[key] = value
            return node

        def text(name: str, value: str) -> h5py.Dataset:
            return put(name, np.frombuffer(value.encode("utf-16-le"), dtype="<u2")[:, None], "char")

        put("betas", VALUES.T, "double")
        put("flag", np.array([[1, 0, 1]], dtype=np.uint8).T, "logical", MATLAB_int_decode=1)
        put("count", np.array([[7]], dtype=np.int16), "int16")
        text("name", "Grün")
        put("rows", np.array([[ord("a"), ord("c")], [ord("b"), ord(" ")]], dtype=np.uint16), "char")  # ['ab'; 'c ']
        cells = [text("#refs#/a", "V1"), text("#refs#/b", "V2"), put("#refs#/c", [0, 0], "char", MATLAB_empty=1)]
        put("roi", np.array([[cell.ref for cell in cells]], dtype=h5py.ref_dtype), "cell")
        put("mixed", np.array([[put("#refs#/d", [[1.0]], "double").ref]], dtype=h5py.ref_dtype), "cell")
        put("nothing", np.array([0, 5], dtype=np.uint64), "double", MATLAB_empty=1)
        put("data/inner", VALUES[0].T.astype(np.float32), "single")
        file["data"].attrs["MATLAB_class"] = np.bytes_("struct")
        put("table", np.zeros((1, 6), dtype=np.uint32), "table", MATLAB_object_decode=3)
        file.create_group("sparse").attrs.update({"MATLAB_sparse": 3, "MATLAB_class": np.bytes_("double")})
        put("z", np.zeros((2, 2), dtype=[("real", "f8"), ("imag", "f8")]), "double")
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM")
    return path


def version_5(path: Path) -> Path:
    cells = np.empty((3, 1), dtype=object)
    cells[:, 0] = ["V1", "V2", ""]
    mixed = np.empty((1, 2), dtype=object)
    mixed[0] = [np.eye(2), "a"]
    scipy.io.savemat(
        path,
        {
            "betas": VALUES, "flag": np.array([[True, False, True]]), "count": np.int16(7), "name": "Grün", "roi": cells,
            "mixed": mixed, "data": {"inner": VALUES[0].astype(np.float32), "deeper": {"x": np.array([[1, 2]])}},
            "rows": np.array(["ab", "c "]), "sparse": scipy.sparse.csc_array(np.diag([1.0, 2.0])),
            "many": np.zeros((2, 1), dtype=[("a", "O")]),
        },
    )  # fmt: skip
    return path


@pytest.mark.parametrize("write", [version_5, version_73])
def test_both_versions_of_mat_give_matlabs_arrays(write, tmp_path):
    path = write(tmp_path / "x.mat")
    betas = open_array(path, "betas")
    assert betas.shape == (2, 3, 4)
    assert betas[1, 2, 3] == 23
    np.testing.assert_array_equal(betas[...], VALUES)
    np.testing.assert_array_equal(betas[:, 1:], VALUES[:, 1:])
    flag = open_array(path, "flag")[...]
    assert flag.dtype == bool
    assert flag.tolist() == [[True, False, True]]
    assert np.asarray(open_array(path, "count")).tolist() == [[7]]
    assert np.ravel(open_array(path, "name")).tolist() == ["Grün"]
    assert [row.rstrip() for row in np.ravel(open_array(path, "rows"))] == ["ab", "c"]
    assert open_array(path, "roi").tolist() == [["V1"], ["V2"], [""]]
    inner = open_array(path, "data.inner")
    assert inner.dtype == np.float32
    np.testing.assert_array_equal(inner[...], VALUES[0])


def test_what_only_one_version_shows(tmp_path):
    old, new = version_5(tmp_path / "5.mat"), version_73(tmp_path / "73.mat")
    assert open_array(old, "data.deeper.x").tolist() == [[1, 2]]
    assert open_array(old, "sparse").tolist() == [[1, 0], [0, 2]]
    assert open_array(new, "nothing").shape == (0, 5)
    scipy.io.savemat(tmp_path / "one.mat", {"only": np.eye(2)})
    assert open_array(tmp_path / "one.mat").tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("write", "key", "message"),
    [
        (version_5, "gone", "found keys betas, count, data, flag, .*, expected 'gone'"),
        (version_5, None, "found keys betas, .*, expected None; set key"),
        (version_5, "data", r"data is a struct with the fields inner, deeper \(name one: data.field\)"),
        (version_5, "data.outer", "data has fields inner, deeper, expected 'outer'"),
        (version_5, "betas.x", "betas has fields none, expected 'x'"),
        (version_5, "many.a", "many is an array of 2 structs"),
        (version_5, "mixed", "mixed is an object or a cell array of other things than text"),
        (version_73, "gone", "found keys betas, .*, expected 'gone'"),
        (version_73, "data", "data is of MATLAB's class struct, expected numbers or text"),
        (version_73, "data.outer", "found keys inner, expected 'outer'"),
        (version_73, "mixed", "mixed is a cell array of other things than text"),
        (
            version_73,
            "table",
            r"table is of MATLAB's class table, expected numbers or text; in MATLAB, save it as a plain array",
        ),
        (version_73, "sparse", "sparse is a sparse matrix"),
        (version_73, "z", "z is of MATLAB's class double .*real.*imag"),
    ],
)
def test_what_a_mat_file_holds_else_is_refused(write, key, message, tmp_path):
    path = write(tmp_path / "x.mat")
    with pytest.raises(DataError, match=message) as caught:
        open_array(path, key)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_handle_is_refused_unread(tmp_path, monkeypatch):
    version_5(tmp_path / "x.mat")
    monkeypatch.setattr(scipy.io, "whosmat", lambda path: [("f", (1, 1), "function")])
    with pytest.raises(DataError, match="f is of MATLAB's class function, expected numbers or text"):
        open_array(tmp_path / "x.mat", "f")


@pytest.mark.parametrize("name", ["x.mat", "x.h5", "x.hdf5"])
@pytest.mark.parametrize("content", [b"", b"no such file " * 60])
def test_a_broken_file_is_told_in_one_line(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="make or fetch the file again") as caught:
        open_array(tmp_path / name, "x")
    assert "\n" not in str(caught.value)


def test_hdf5_by_group_and_name(tmp_path):
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file.create_dataset("a/b/betas", data=VALUES.astype(np.int16), chunks=(1, 3, 4))
        file["a/name"] = ["one", "zwei"]
        file["a/fixed"] = np.array([b"x", b"yz"])
        file["a/pointer"] = np.array([file["a"].ref], dtype=h5py.ref_dtype)
        file["a/record"] = np.zeros(2, dtype=[("u", "i4")])
    betas = open_array(tmp_path / "x.hdf5", "a/b/betas")
    assert betas.dtype == np.int16
    np.testing.assert_array_equal(betas[1], VALUES[1])
    assert open_array(tmp_path / "x.hdf5", "/a/name").tolist() == ["one", "zwei"]
    assert open_array(tmp_path / "x.hdf5", "a/fixed")[...].tolist() == ["x", "yz"]
    for key, message in {
        "a": "found keys a/b/betas, a/fixed, .*, expected 'a'",
        "a/pointer": "a/pointer holds object, expected numbers or text",
        "a/record": "a/record holds .*, expected numbers or text",
    }.items():
        with pytest.raises(DataError, match=message):
            open_array(tmp_path / "x.hdf5", key)


def test_netcdf_is_decoded_under_either_suffix(tmp_path):
    dataset = xr.Dataset({"y": (("a", "b"), np.array([[1, 2], [3, 4]], dtype=np.float64))})
    for name in ("x.nc", "x.h5"):
        dataset.to_netcdf(
            tmp_path / name, engine="h5netcdf", encoding={"y": {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}}
        )
        found = open_array(tmp_path / name, "y")
        assert isinstance(found, Slices)
        assert found[1].tolist() == [3, 4]
        assert found[:, 0].tolist() == [1, 3]


@pytest.mark.parametrize(
    "index",
    [
        (..., 1), 1, -1, slice(None, None, 2), slice(3, 0, -1), ([2, 0, 2], slice(1, 3)), (0, slice(None), [3, 1]), (),
        (np.array([True, False, True, False, True]), 2), (slice(4, 2), 0), ([], 1), (1, 2, 3),
    ],
)  # fmt: skip
def test_slices_are_numpys(index):
    values = np.arange(60).reshape(5, 3, 4)
    asked = []

    def read(one: tuple) -> np.ndarray:
        asked.append(one)
        return values[one]

    lazy = Slices(values.shape, values.dtype, read)
    expected = values[index]
    if isinstance(index, tuple) and index:
        # One axis after another, as arrays beside arrays mean elsewhere something else.
        expected = values
        full = [*index, *[slice(None)] * (3 - len(index))] if index[0] is not Ellipsis else [slice(None), slice(None), 1]
        for axis, one in reversed(list(enumerate(full))):
            expected = expected[(slice(None),) * axis + (np.asarray(one, dtype=int) if isinstance(one, list) else one,)]
    np.testing.assert_array_equal(lazy[index], expected)
    assert all(isinstance(one, int) or one.step in (None, 1) for one in asked[0])
    assert len(lazy) == 5
    assert (lazy.ndim, lazy.size) == (3, 60)
    with pytest.raises(IndexError):
        lazy[5]
    with pytest.raises(IndexError, match="4 indices for 3 axes"):
        lazy[0, 0, 0, 0]


def test_grey_levels_are_images_whatever_type_they_have():
    levels = np.array([[0, 17], [128, 255]])
    for dtype in (np.float32, np.int64, np.uint16):
        found = as_rgb(levels.astype(dtype), "here")
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, np.repeat(levels[:, :, None], 3, axis=2))
    for values in (levels / 255, levels + 0.5, levels - 1, levels + 1, np.zeros((2, 2)), levels * np.nan):
        with pytest.raises(DataError, match=r"here: found .* \(2, 2, 1\), expected uint8"):
            as_rgb(values, "here")


@pytest.mark.parametrize("place", ["filters", "compressor"])
def test_a_zarr_array_that_would_unpickle_is_refused(tmp_path, place):
    """Written by hand: whatever a library of tomorrow allows, such an array is not opened."""
    store = tmp_path / "x.zarr"
    store.mkdir()
    codec = {"id": "pickle", "protocol": 5}
    meta = {"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "fill_value": "", "order": "C"}
    filters = [{"id": "vlen-utf8"}, *([codec] if place == "filters" else [])]
    meta |= {"filters": filters, "compressor": codec if place == "compressor" else None}
    (store / ".zarray").write_text(json.dumps(meta))
    with pytest.raises(DataError, match=r"x\.zarr: the array holds pickled Python objects, which are never opened"):
        open_array(store)
