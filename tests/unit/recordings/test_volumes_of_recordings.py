"""Positions and the volume that they are voxels of, from a recording to its region."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from isocortex.errors import DataError
from isocortex.recordings.adapters.patterns import load
from isocortex.recordings.regions import Selection, build_patterns
from isocortex.storage.store import read_dataset_store, write_dataset_store

IDS = [f"s{k}" for k in range(6)]
AFFINE = np.array([[2.0, 0, 0, -40], [0, 2, 0, -30.5], [0, 0, 2, 8], [0, 0, 0, 1]])
VOLUME = {"affine": {"key": "affine"}, "shape": {"key": "shape"}}


def recording(folder: Path, **changes: Any) -> Any:
    rng, steps = np.random.default_rng(0), np.arange(5.0)
    arrays = {"r": rng.normal(size=(6, 5)), "affine": AFFINE, "shape": np.array([30, 30, 20]), "roi": list("aabba")}
    np.savez(folder / "a.npz", **{**arrays, "x": steps, "y": steps - 3, "z": 3 * steps, **changes})
    neuroid = {name: {"key": name} for name in ("x", "y", "z", "roi")}
    spec = {"adapter": "npz", "path": "a.npz", "key": "r", "dims": ["stimulus", "neuroid"], "neuroid": neuroid}
    return load({**spec, **VOLUME}, folder, pd.DataFrame({"stimulus_id": IDS}))


def test_positions_and_volume_reach_the_region(tmp_path: Path) -> None:
    write_dataset_store(recording(tmp_path), tmp_path / "r.json", {"a": 1})
    kept = read_dataset_store(tmp_path / "r.json")
    part = build_patterns(kept, Selection("A", "S", "all", IDS, [{"roi": ["a"]}]))
    assert part["x"].values.tolist() == [0.0, 1.0, 4.0]
    assert part["y"].values.tolist() == [-3.0, -2.0, 1.0]
    assert part["z"].values.tolist() == [0.0, 3.0, 12.0]
    assert json.loads(part.attrs["affine"]) == AFFINE.ravel().tolist()
    assert json.loads(part.attrs["shape"]) == [30, 30, 20]


def test_without_a_volume_there_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", y=np.eye(6))
    spec = {"adapter": "npz", "path": "a.npz", "key": "y", "dims": ["stimulus", "neuroid"]}
    assert load(spec, tmp_path, pd.DataFrame({"stimulus_id": IDS})).attrs == {}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"affine": AFFINE[:3]}, r"subject array a.npz, affine: found float64 \(3, 4\), expected 16 numbers; correct 'key'"),
        ({"shape": np.array([1.5, 2, 3])}, r"a.npz, shape: found float64 \(3,\), expected 3 whole numbers; correct 'key'"),
        ({"shape": np.array(["a", "b", "c"])}, r"a.npz, shape: found <U1 \(3,\), expected 3 whole numbers"),
    ],
)
def test_a_bad_volume_is_told_in_one_line(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError, match=text) as caught:
        recording(tmp_path, **changes)
    assert "\n" not in str(caught.value)
