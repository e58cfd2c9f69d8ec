"""Stage `known`: what every instance says of a stimulus set, and how it is read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from features_world import ENTRY, make_spec

from isocortex.errors import DataError, StudyError
from isocortex.stages import features, known, known_layers
from isocortex.stages.known_layers import read_known, some_units
from isocortex.storage.store import Store
from isocortex.storage.tables import write_parquet

SEEDED = {"source": "callable", "call": "isocortex.features.seeded:build", "layers": ["conv1"], "pool": 1}


def spec_of(folder: Path, entries: dict[tuple[str, str], dict[str, Any]], most: int = 500) -> dict[str, Any]:
    made = make_spec(folder)
    options = {key: made["options"][key] for key in ("name", "set", "root", "study_dir")}
    items = [{"kind": kind, "instance": name, "entry": entry} for (kind, name), entry in entries.items()]
    return {
        "stage": "known",
        "inputs": {"stimuli": made["inputs"]["stimuli"]},
        "output": str(folder / "known" / "all.nc"),
        "options": {**options, "degrees": None, "instances": items, "max_units": most, "seed": 3},
    }


def listed(spec: dict[str, Any]) -> dict[str, Any]:
    kinds = dict.fromkeys(item["kind"] for item in spec["options"]["instances"])
    return {
        "kinds": [
            {
                "kind": kind,
                "instances": [
                    {"instance": item["instance"], "of_study": False}
                    for item in spec["options"]["instances"]
                    if item["kind"] == kind
                ],
            }
            for kind in kinds
        ],
        "layers": {},
        "max_units": spec["options"]["max_units"],
        "seed": 3,
    }


def test_layers_are_those_of_the_stage_features(tmp_path: Path) -> None:
    wanted = {**ENTRY, "project": "none"}
    spec = spec_of(tmp_path, {("k", "k-0"): wanted})
    known.run(spec, "cpu")
    stored = make_spec(tmp_path)
    stored["options"]["entry"] = wanted
    features.run(stored, "cpu")
    expected = Store(stored["output"]).read("000", "activation").astype(np.float64)
    (found,) = read_known({"known": {"all": spec["output"]}}, listed(spec), "all", [f"s{row}" for row in range(5)])
    assert (found.kind, found.instance) == ("k", "k-0")
    assert found.layers["conv"].dtype == np.float32
    np.testing.assert_allclose(found.layers["conv"], expected, rtol=2**-10, atol=1e-4)  # the store is in float16


def test_units_are_some_of_the_layer_in_order(tmp_path: Path) -> None:
    entry = {**ENTRY, "project": "none"}
    whole, some = (spec_of(tmp_path, {("k", "k-0"): entry}, most) for most in (500, 7))
    ids, layers = [f"s{row}" for row in (3, 1)], []
    for spec in (whole, some):
        known.run(spec, "cpu")
        layers.append(read_known({"known": {"all": spec["output"]}}, listed(spec), "all", ids)[0].layers["conv"])
    units = some_units(18, 7, 3, ("k", "k-0", "conv"))
    assert len(set(units.tolist())) == 7
    assert (np.diff(units) > 0).all()
    np.testing.assert_array_equal(layers[1], layers[0][:, units])
    assert some_units(18, 18, 3, ("k",)).tolist() == list(range(18))
    assert some_units(900, 7, 3, ("a",)).tolist() != some_units(900, 7, 3, ("b",)).tolist()


def test_instances_are_kept_apart_and_in_order(tmp_path: Path) -> None:
    entries = {
        (kind, f"{kind}-{seed}"): {**SEEDED, "options": {"seed": seed, "depth": 1, "channels": width}}
        for kind, width in (("wide", 6), ("thin", 2))
        for seed in (0, 1)
    }
    spec = spec_of(tmp_path, entries)
    known.run(spec, "cpu")
    found = read_known({"known": {"all": spec["output"]}}, listed(spec), "all", [f"s{row}" for row in range(5)])
    assert [(one.kind, one.instance) for one in found] == list(entries)
    assert [one.layers["conv1"].shape for one in found] == [(5, 6), (5, 6), (5, 2), (5, 2)]
    assert not np.allclose(found[0].layers["conv1"], found[1].layers["conv1"])


def test_the_same_job_gives_the_same_bytes(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {("k", "k-0"): ENTRY})
    known.run(spec, "cpu")
    first = Path(spec["output"]).read_bytes()
    known.run(spec, "cpu")
    assert Path(spec["output"]).read_bytes() == first


def test_stimuli_that_are_missing_are_named(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {("k", "k-0"): ENTRY})
    known.run(spec, "cpu")
    with pytest.raises(DataError, match=r"all\.nc: lacks 1 of 2 stimuli of the region \(first: 's9'\), expected all"):
        read_known({"known": {"all": spec["output"]}}, listed(spec), "all", ["s1", "s9"])


def test_stimuli_without_pictures_are_refused(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {("k", "k-0"): ENTRY})
    frame = pd.DataFrame({"stimulus_id": ["a", "b"], "digest": "", "path": "", "row": -1, "caption": ["x", "y"]})
    write_parquet(frame, spec["inputs"]["stimuli"])
    text = r"identify_models\.kinds\.k: takes images, but stimulus 'a' is not shown as a file; name kinds that take these"
    with pytest.raises(StudyError, match=text):
        known.run(spec, "cpu")


def test_a_network_that_overflows_is_told(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {("k", "k-0"): {**ENTRY, "layers": ["conv", "act"], "options": {"slope": float("inf")}}})
    with pytest.raises(DataError, match=r"known model 'k-0', layer '(conv|act)': found NaN or infinite values for stimulus 's"):
        known.run(spec, "cpu")


def test_rows_are_read_in_blocks_and_only_some_units_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).standard_normal((23, 7)).astype(np.float16)
    rows, units = np.array([22, 0, 9, 9, 3]), np.array([1, 5])
    seen: list[int] = []

    class OnDisk:
        shape, dtype = values.shape, values.dtype

        def __getitem__(self, part: slice) -> np.ndarray:
            seen.append(len(values[part]))
            return values[part]

    monkeypatch.setattr(known_layers, "BLOCK_BYTES", 4 * 7 * 2)
    found = known_layers._in_blocks(OnDisk(), rows, units)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values[np.ix_(rows, units)].astype(np.float32))
    assert max(seen) == 4
    assert len(seen) == 3  # blocks without any of the rows are not read
