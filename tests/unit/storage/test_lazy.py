"""Recordings that are written and read in parts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from isocortex.errors import StoreError
from isocortex.storage import lazy
from isocortex.storage.atomic import read_json

SHAPE = (50, 7, 3)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def recording(values: np.ndarray, asked: list | None = None) -> xr.Dataset:
    def read(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        if asked is not None:
            asked.append((rows.tolist(), columns.tolist()))
        return values[np.ix_(rows, columns)]

    coords = {
        "stimulus_id": ("presentation", [f"s{i}" for i in range(len(values))]),
        "neuroid_id": ("neuroid", list("abcdefg")[: values.shape[1]]),
    }
    return xr.Dataset(coords=coords).assign(response=lazy.lazy_response(values.shape, read))


def written(values: np.ndarray, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of many small chunks."""
    monkeypatch.setattr(lazy, "BLOCK_BYTES", 900)
    monkeypatch.setattr(lazy, "CHUNK_BYTES", 300)
    lazy.write_recording(recording(values), path, {"stage": "record"}, lambda rows, block: None, lambda: None, subject="S1")
    return path


@pytest.mark.parametrize(
    "key", [(slice(None),), (3,), (slice(3, 9), [4, 1]), ([9, 2, 2], slice(1, 6, 2)), (slice(None), 2), (slice(None), [5], 1)]
)
def test_only_what_is_indexed_is_read(values, key):
    asked: list = []
    found = recording(values, asked)["response"]
    assert not asked
    dims = dict(zip(("presentation", "neuroid", "time"), key, strict=False))
    expected = values
    for axis, one in reversed(list(enumerate(key))):
        expected = np.take(expected, one, axis=axis) if not isinstance(one, slice) else expected[(slice(None),) * axis + (one,)]
    np.testing.assert_array_equal(found.isel(dims).to_numpy(), expected)
    rows, columns = asked[-1]
    # xarray asks for each place once, in order, and turns what it got.
    assert rows == np.unique(np.arange(50)[key[0]]).tolist()
    assert columns == np.unique(np.arange(7)[key[1] if len(key) > 1 else slice(None)]).tolist()


def test_a_store_gives_back_what_was_written(values, tmp_path, monkeypatch):
    path = written(values, tmp_path / "S1.json", monkeypatch)
    chunks = [name for name in read_json(path)["files"] if name.startswith("response/c/")]
    assert len(chunks) > 10
    found = lazy.open_recording(path)
    np.testing.assert_array_equal(found["response"].to_numpy(), values)
    np.testing.assert_array_equal(found.isel(neuroid=[6, 0, 3])["response"][::7].to_numpy(), values[::7][:, [6, 0, 3]])
    assert found["stimulus_id"].to_numpy().tolist() == [f"s{i}" for i in range(50)]
    assert read_json(path)["subject"] == "S1"


def test_every_block_is_looked_at_before_it_is_written(values, tmp_path, monkeypatch):
    seen: list[np.ndarray] = []
    rows: list[slice] = []

    def look(where: slice, block: np.ndarray) -> None:
        rows.append(where)
        seen.append(block.copy())
        assert block.nbytes <= 900

    monkeypatch.setattr(lazy, "BLOCK_BYTES", 900)
    lazy.write_recording(recording(values), tmp_path / "S1.json", {}, look, lambda: None)
    np.testing.assert_array_equal(np.concatenate(seen), values)
    assert [one.start for one in rows[1:]] == [one.stop for one in rows[:-1]]


def test_what_is_refused_leaves_nothing(values, tmp_path):
    def refuse() -> None:
        raise StoreError("no")

    with pytest.raises(StoreError, match="no"):
        lazy.write_recording(recording(values), tmp_path / "S1.json", {}, lambda rows, block: None, refuse)
    assert list(tmp_path.iterdir()) == []


def test_a_flipped_byte_is_found_where_it_is_read_and_only_there(values, tmp_path, monkeypatch):
    path = written(values, tmp_path / "S1.json", monkeypatch)
    chunks = sorted(name for name in read_json(path)["files"] if name.startswith("response/c/"))
    file = path.with_suffix(".zarr") / chunks[0]
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    found = lazy.open_recording(path)
    np.testing.assert_array_equal(found["response"][-1, -1].to_numpy(), values[-1, -1])
    with pytest.raises(StoreError, match="corrupt, checksum is"):
        found["response"][0, 0].to_numpy()


def test_a_missing_chunk_is_found(values, tmp_path, monkeypatch):
    path = written(values, tmp_path / "S1.json", monkeypatch)
    name = next(name for name in read_json(path)["files"] if name.startswith("response/c/"))
    (path.with_suffix(".zarr") / name).unlink()
    with pytest.raises(StoreError, match="missing from its store"):
        lazy.open_recording(path)["response"].to_numpy()


def test_answered_presentations_are_those_with_any_value(values, monkeypatch):
    monkeypatch.setattr(lazy, "CHUNK_BYTES", 50 * 4)  # a neuroid at a time
    values[[3, 11]] = np.nan
    values[7, :6] = np.nan
    values[9, :, :2] = np.nan
    asked: list = []
    found = lazy.answered(recording(values, asked)["response"])
    assert np.flatnonzero(~found).tolist() == [3, 11]
    asked.clear()
    values[[3, 11]] = 0
    values[7] = 0
    assert lazy.answered(recording(values, asked)["response"]).all()
    assert {column for _, columns in asked for column in columns} == {0}


SCRIPT = """
import sys
from pathlib import Path
import numpy as np, pandas as pd, xarray as xr
from isocortex.stages import record, region, splits
from isocortex.storage import lazy
from isocortex.storage.atomic import write_json
from isocortex.storage.tables import read_tree, write_parquet
import isocortex.recordings.adapters as adapters

def peak_mb():
    # Of this program alone: getrusage would count what its parent held when it was started.
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024

N, V, REPEATS = 5000, 100_000, 2

def load(spec, root, table):
    def read(rows, columns):
        phase = np.add.outer((rows // REPEATS * 0.37).astype("f4"), (columns * 1.7 % (2 * np.pi)).astype("f4"))
        np.sin(phase, out=phase)
        phase += (rows % 2).astype("f4")[:, None]
        return phase
    ids = np.repeat(table["stimulus_id"].to_numpy(dtype=str), REPEATS)
    area = np.where(np.arange(V) % 500 == 7, "V1", "rest")
    coords = {
        "stimulus_id": ("presentation", ids), "repeat": ("presentation", np.arange(N) % 2),
        "neuroid_id": ("neuroid", np.arange(V).astype(str)), "area": ("neuroid", area),
    }
    return xr.Dataset(coords=coords).assign(response=lazy.lazy_response((N, V), read))

import types
module = types.ModuleType("huge"); module.load = load; sys.modules["huge"] = module
adapters.ADAPTERS["npz"] = "huge:load"
write_parquet(pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(N // REPEATS)], "digest": ""}), "all.parquet")
write_json("common.json", {"files": {"x.npz": {}}})
entry = {"adapter": "npz", "repeats": 2}
options = {"name": "d", "subject": "S1", "level": "patterns", "entry": entry, "root": "."}
inputs = {"manifests": {"common": "common.json"}, "stimuli": "all.parquet"}
record.run({"inputs": inputs, "output": "S1.json", "options": options}, "cpu")
recorded = peak_mb()
inputs = {"recording": "S1.json", "stimuli": "all.parquet"}
splits.run({"inputs": inputs, "output": "splits.json", "options": {"subject": "S1", "test": 0.2, "folds": 5, "seed": 0}}, "cpu")
chosen = {"S1": {"set": "all", "anywhere": [{"area": ["V1"]}]}}
region.run({
    "inputs": {"recordings": {"S1": "S1.json"}, "stimuli": {"all": "all.parquet"}, "splits": {"S1": "splits.json"}},
    "output": "brain.nc", "options": {"region": "V1", "level": "patterns", "subjects": chosen},
}, "cpu")
peak = peak_mb()
part = read_tree("brain.nc")["S1"].to_dataset()
assert part.sizes["neuroid"] == 200, part.sizes
expected = np.sin(np.arange(N // 2)[:, None] * 0.37 + np.flatnonzero(np.arange(V) % 500 == 7) * 1.7) + 0.5
np.testing.assert_allclose(part["response"].to_numpy(), expected, atol=1e-3)
print(recorded, peak)
"""


def test_one_region_of_two_gigabytes_within_300_megabytes(tmp_path):
    """Written through the stage `record`, split, and cut: 5000 presentations of 100 000 neuroids."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    recorded, peak = map(int, done.stdout.split())
    print(f"peak memory: {recorded} MB when recorded, {peak} MB after the region")
    assert peak < 300
