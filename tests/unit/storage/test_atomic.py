"""Files are whole or absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from isocortex.errors import StoreError
from isocortex.storage.atomic import canonical_json, digest_file, digest_json, read_json, replacing, write_json
from isocortex.storage.tables import read_netcdf, read_parquet, read_tree, write_netcdf


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="could not be written \\(No space left on device\\); free some space"),
        replacing(tmp_path / "a") as temporary,
    ):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [1, "é"]})
    assert read_json(tmp_path / "a.json") == {"a": [1, "é"], "b": 1}
    assert canonical_json({"b": 1, "a": 2}) == '{"a":2,"b":1}'
    assert digest_json({"b": 1, "a": 2}) == digest_json({"a": 2, "b": 1})
    (tmp_path / "e").write_bytes(b"")
    assert (
        digest_file(tmp_path / "e") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )  # SHA-256 of nothing


def test_netcdf_round_trip_is_reproducible(tmp_path: Path) -> None:
    data = xr.Dataset({"r": (("a", "b"), np.random.default_rng(0).normal(size=(60, 60)))}, attrs={"rows": "[]"})
    write_netcdf(data, tmp_path / "a.nc")
    write_netcdf(data, tmp_path / "b.nc")
    xr.testing.assert_identical(read_netcdf(tmp_path / "a.nc"), data)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


@pytest.mark.parametrize("read", [read_netcdf, read_parquet, read_tree])
def test_missing_and_broken_files_are_told(tmp_path: Path, read: object) -> None:
    assert callable(read)
    with pytest.raises(StoreError, match=r"x: missing; make it with: snakemake -- "):
        read(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"not a file of ours")
    with pytest.raises(StoreError, match=r"x: not readable as (NetCDF|Parquet)"):
        read(tmp_path / "x")
