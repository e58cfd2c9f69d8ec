"""Stores are resumed, verified and refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from isocortex.errors import StoreError
from isocortex.storage.store import Store, StoreWriter, read_dataset_store, stored_recipe, write_dataset_store

RECIPE = {"size": 4, "code": "abc"}
VALUES = np.arange(20, dtype="float32").reshape(5, 4)


def begin(sidecar: Path, recipe: object = RECIPE, rows: tuple[str, ...] = ("a", "b", "c", "d", "e")) -> StoreWriter:
    writer = StoreWriter(sidecar, recipe, rows)
    writer.group("000", layer="conv1")
    writer.create("000", "activation", (len(rows), 4), "float32", 2, ("stimulus", "feature"))
    return writer


def whole(sidecar: Path) -> StoreWriter:
    writer = begin(sidecar)
    for start in (0, 2, 4):
        writer.write("000", "activation", start, VALUES[start : start + 2])
    writer.finish(layers=["conv1"])
    return writer


def test_round_trip(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    whole(sidecar)
    store = Store(sidecar, RECIPE)
    np.testing.assert_array_equal(store.read("000", "activation"), VALUES)
    np.testing.assert_array_equal(store.read("000", "activation", slice(1, 3)), VALUES[1:3])
    assert store.groups == {"000": {"layer": "conv1"}}
    assert store.sidecar["layers"] == ["conv1"]


def test_equal_contents_give_equal_sidecars(tmp_path: Path) -> None:
    whole(tmp_path / "s.json")
    whole(tmp_path / "t.json")
    assert (tmp_path / "s.json").read_bytes() == (tmp_path / "t.json").read_bytes()


def test_no_sidecar_means_not_whole(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    begin(sidecar).write("000", "activation", 0, VALUES[:2])
    with pytest.raises(
        StoreError, match=r"s\.json: missing, so its store is incomplete or was never made; rebuild it with: snakemake -f"
    ):
        Store(sidecar)


def test_a_killed_job_goes_on_where_it_stopped(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    begin(sidecar).write("000", "activation", 0, VALUES[:2])
    again = begin(sidecar)
    assert again.has("000", "activation", 0, 2)
    assert not again.has("000", "activation", 2, 4)
    assert not again.has("000", "activation", 0, 4)


def test_a_chunk_of_zeros_counts_as_written(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    begin(sidecar).write("000", "activation", 0, np.zeros((2, 4), "float32"))
    assert begin(sidecar).has("000", "activation", 0, 2)


def test_a_torn_journal_line_is_left_out(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    begin(sidecar).write("000", "activation", 0, VALUES[:2])
    with open(tmp_path / "s.journal", "a") as journal:
        journal.write('{"file": "000/acti')
    assert begin(sidecar).has("000", "activation", 0, 2)


def test_a_damaged_block_is_not_resumed(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    begin(sidecar).write("000", "activation", 0, VALUES[:2])
    chunk = tmp_path / "s.zarr/000/activation/c/0/0"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"\x00")
    assert not begin(sidecar).has("000", "activation", 0, 2)


def test_another_recipe_is_discarded(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    whole(sidecar)
    writer = begin(sidecar, {"size": 5})
    assert not sidecar.exists()
    assert not writer.has("000", "activation", 0, 2)
    assert writer.donor is None


def test_other_rows_are_kept_aside_until_the_end(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    whole(sidecar)
    writer = begin(sidecar, rows=("c", "x", "a"))
    donor = writer.donor
    assert donor is not None
    np.testing.assert_array_equal(donor.take("000", "activation", ["c", "a"]), VALUES[[2, 0]])
    assert donor.holds("000", "activation", "c")
    assert not donor.holds("000", "activation", "x")
    assert not donor.holds("000", "maps", "c")
    writer.write("000", "activation", 0, VALUES[:2])
    writer.write("000", "activation", 2, VALUES[:1])
    writer.finish()
    assert not list(tmp_path.glob(".s.old*"))


def test_a_reader_refuses_another_recipe(tmp_path: Path) -> None:
    whole(tmp_path / "s.json")
    with pytest.raises(StoreError, match="made with another recipe than this study asks for; rebuild it with"):
        Store(tmp_path / "s.json", {"size": 5})


def test_a_flipped_byte_is_seen(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    whole(sidecar)
    chunk = tmp_path / "s.zarr/000/activation/c/1/0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    with pytest.raises(
        StoreError, match=r"activation/c/1/0: corrupt, checksum is [0-9a-f]{12}…, expected [0-9a-f]{12}…; rebuild"
    ):
        Store(sidecar).read("000", "activation")


def test_a_lost_chunk_is_seen(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    whole(sidecar)
    (tmp_path / "s.zarr/000/activation/c/2/0").unlink()
    with pytest.raises(StoreError, match="activation/c/2/0: missing from its store; rebuild"):
        Store(sidecar).read("000", "activation")


def test_a_sidecar_that_is_not_json(tmp_path: Path) -> None:
    whole(tmp_path / "s.json")
    (tmp_path / "s.json").write_text('{"files": ')
    with pytest.raises(StoreError, match=r"s\.json: not readable as JSON"):
        Store(tmp_path / "s.json")
    (tmp_path / "s.json").write_text(json.dumps([1]))
    with pytest.raises(StoreError, match="not a sidecar of a store"):
        Store(tmp_path / "s.json")


def dataset() -> xr.Dataset:
    return xr.Dataset(
        {"response": (("presentation", "neuroid"), VALUES)},
        coords={"stimulus_id": ("presentation", np.array(["a", "b", "é", "d", "e"], dtype=object))},
    )


def test_dataset_round_trip(tmp_path: Path) -> None:
    write_dataset_store(dataset(), tmp_path / "r.json", RECIPE, subject="S1")
    read = read_dataset_store(tmp_path / "r.json", RECIPE)
    np.testing.assert_array_equal(read["response"], VALUES)
    assert list(read["stimulus_id"].values) == ["a", "b", "é", "d", "e"]


def test_dataset_with_a_flipped_byte(tmp_path: Path) -> None:
    write_dataset_store(dataset(), tmp_path / "r.json", RECIPE)
    chunk = next(path for path in (tmp_path / "r.zarr/response/c").rglob("*") if path.is_file())
    chunk.write_bytes(b"\x00" + chunk.read_bytes()[1:])
    with pytest.raises(StoreError, match="corrupt"):
        read_dataset_store(tmp_path / "r.json")


def test_what_a_killed_job_was_writing_is_swept_away(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    begin(sidecar).write("000", "activation", 0, VALUES[:2])
    torn = tmp_path / "s.zarr/000/activation/c/1/0.3f2c.partial"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"half a chunk")
    whole(tmp_path / "t.json")
    writer = begin(sidecar)
    for start in (2, 4):
        writer.write("000", "activation", start, VALUES[start : start + 2])
    writer.finish(layers=["conv1"])
    assert sidecar.read_bytes() == (tmp_path / "t.json").read_bytes()


@pytest.mark.parametrize("left", [(), ("c/1/0",), ("zarr.json", "c/0/0", "c/1/0")])
def test_an_array_that_was_dropped_is_gone_even_if_a_kill_left_files_of_it(tmp_path: Path, left: tuple[str, ...]) -> None:
    """The journal knows before the first file goes, so that none left over is taken for the new array's."""
    sidecar, array, finer = tmp_path / "s.json", tmp_path / "s.zarr/000/activation", VALUES.astype("float64") / 3
    writer = begin(sidecar)
    for start in (0, 2):
        writer.write("000", "activation", start, VALUES[start : start + 2])
    saved = {name: (array / name).read_bytes() for name in left}
    writer.drop("000", "activation")
    assert writer.find("000", "activation") is None
    assert not writer.has("000", "activation", 0, 2)
    for name, data in saved.items():
        (array / name).parent.mkdir(parents=True, exist_ok=True)
        (array / name).write_bytes(data)
    again = StoreWriter(sidecar, RECIPE, ("a", "b", "c", "d", "e"))
    again.create("000", "activation", (5, 4), "float64", 2, ("stimulus", "feature"))
    assert not again.has("000", "activation", 0, 2)
    assert not again.has("000", "activation", 2, 4)
    for start in (0, 2, 4):
        again.write("000", "activation", start, finer[start : start + 2])
    np.testing.assert_array_equal(again.read("000", "activation"), finer)
    np.testing.assert_array_equal(again.take("000", "activation", [4, 0, 4]), finer[[4, 0, 4]])


def test_the_recipe_of_what_lies_there(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    assert stored_recipe(sidecar) is None
    begin(sidecar)
    assert stored_recipe(sidecar) == RECIPE
    (tmp_path / "s.journal").write_text("{}\n")
    assert stored_recipe(sidecar) is None


def test_a_store_hardly_begun_does_not_replace_a_fuller_donor(tmp_path: Path) -> None:
    sidecar = tmp_path / "s.json"
    whole(sidecar)
    begin(sidecar, rows=("c", "x", "a")).write("000", "activation", 0, VALUES[:2])  # killed after its first block
    writer = begin(sidecar, rows=("e", "d"))
    assert writer.donor is not None
    np.testing.assert_array_equal(writer.donor.take("000", "activation", ["e", "d"]), VALUES[[4, 3]])
    assert not writer.has("000", "activation", 0, 2)
    writer.write("000", "activation", 0, VALUES[:2])
    again = begin(sidecar, rows=("e",))  # as full as the donor's, or more: one of two chunks is less than three
    assert again.donor is not None
    assert "a" in again.donor.rows
