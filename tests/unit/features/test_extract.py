from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from isocortex.errors import DataError
from isocortex.features.extract import Request, Storing, extract, layer_groups, row_keys
from isocortex.features.model import Batch, batched
from isocortex.storage.store import Store, StoreWriter

RECIPE = {"test": 1}
WHOLE = Storing()


class Counting:
    """Features that are a function of the image, and a note of which images were seen."""

    input = "images"
    digest = "counting"

    def __init__(self, layers: tuple[str, ...] = ("a", "b"), batch: int = 3) -> None:
        self.layers, self.batch = layers, batch
        self.seen: list[int] = []
        self.asked: list[tuple[str, ...]] = []

    def features(self, stimuli: Any, layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
        for images in batched(stimuli, self.batch):
            self.seen += [int(image[0, 0, 0]) for image in images]
            self.asked.append(tuple(layers))
            yield {layer: self._layer(layer, images, layer in maps) for layer in layers}

    def _layer(self, layer: str, images: list[np.ndarray], maps: bool) -> dict[str, np.ndarray]:
        values = np.stack([image[:, :, 0].astype(np.float32) + ord(layer) for image in images])
        found = {"activation": values.reshape(len(values), -1)}
        return found | ({"maps": values[:, None]} if maps else {})


def table(names: Sequence[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {"stimulus_id": [f"s{k}-{row}" for row, k in enumerate(names)], "digest": [f"d{k}" for k in names], "name": names}
    )


def write(folder: Path, model: Counting, names: Sequence[int], maps: tuple[str, ...] = (), storing: Storing = WHOLE) -> Store:
    frame = table(names)
    writer = StoreWriter(folder / "f.json", RECIPE, row_keys(frame))
    counts = extract(writer, request(model, frame, maps, storing))
    writer.finish(layers=list(model.layers), n_features=counts)
    return Store(folder / "f.json")


def request(model: Counting, frame: pd.DataFrame, maps: tuple[str, ...] = (), storing: Storing = WHOLE) -> Request:
    return Request(model, frame, lambda row: np.full((2, 2, 3), frame["name"].iloc[row], np.uint8), maps, storing)


def check(store: Store, layers: Sequence[str], names: Sequence[int]) -> None:
    groups = layer_groups(store.sidecar)
    assert list(groups) == list(layers)
    for layer in layers:
        expected = np.repeat(np.array(names, np.float32)[:, None] + ord(layer), 4, axis=1)
        np.testing.assert_array_equal(store.read(groups[layer], "activation"), expected)


def test_every_stimulus_is_computed_once_though_shown_under_two_names(tmp_path):
    model, names = Counting(), [1, 2, 1, 3, 3, 4, 2, 5]
    check(write(tmp_path, model, names), "ab", names)
    assert model.seen == [1, 2, 3, 4, 5]


def test_a_finished_store_is_not_computed_again(tmp_path):
    write(tmp_path, Counting(), range(7))
    model = Counting()
    check(write(tmp_path, model, range(7)), "ab", range(7))
    assert model.seen == []


def test_a_killed_job_goes_on_at_its_block(tmp_path):
    class Dying(Counting):
        def features(self, stimuli: Any, layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
            if len(self.seen) >= 6:
                raise KeyboardInterrupt
            yield from super().features(stimuli, layers, maps)

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, Dying(), range(10))
    assert not (tmp_path / "f.json").exists()
    model = Counting()
    check(write(tmp_path, model, range(10)), "ab", range(10))
    assert model.seen == [6, 7, 8, 9]


def test_a_flipped_byte_is_computed_again(tmp_path):
    store = write(tmp_path, Counting(), range(7))
    chunk = store.directory / "000" / "activation" / "c" / "1" / "0"
    data = bytearray(chunk.read_bytes())
    data[-1] ^= 1
    chunk.write_bytes(bytes(data))
    model = Counting()
    check(write(tmp_path, model, range(7)), "ab", range(7))
    assert model.seen == [3, 4, 5]
    assert model.asked == [("a",)]


def test_a_new_layer_is_added_and_the_others_kept(tmp_path):
    write(tmp_path, Counting(("a", "c")), range(5))
    model = Counting(("a", "b", "c"))
    check(write(tmp_path, model, range(5)), "abc", range(5))
    assert set(model.asked) == {("b",)}
    fewer = Counting(("c",))
    check(write(tmp_path, fewer, range(5)), "c", range(5))
    assert fewer.seen == []


def test_new_stimuli_are_computed_and_known_ones_copied(tmp_path):
    write(tmp_path, Counting(("b", "a")), [1, 2, 3, 4, 5])
    model, names = Counting(("a", "b")), [9, 5, 1, 8, 2, 9, 3]
    check(write(tmp_path, model, names), "ab", names)
    assert model.seen == [9, 8]


def test_maps_are_stored_where_asked_and_added_later(tmp_path):
    store = write(tmp_path, Counting(), range(4), maps=("b",))
    assert store.read("001", "maps").shape == (4, 1, 2, 2)
    model = Counting()
    store = write(tmp_path, model, range(4), maps=("b", "a"))
    assert store.read("000", "maps")[3, 0, 0, 0] == 3 + ord("a")
    assert set(model.asked) == {("a",)}


def test_a_feature_that_is_not_finite_names_layer_and_stimulus(tmp_path):
    class Broken(Counting):
        def _layer(self, layer: str, images: list[np.ndarray], maps: bool) -> dict[str, np.ndarray]:
            found = super()._layer(layer, images, maps)
            if layer == "b":
                found["activation"][[int(image[0, 0, 0]) == 4 for image in images]] = np.inf
            return found

    with pytest.raises(DataError, match=r"layer 'b': found NaN or infinite activation for stimulus 's4-4'"):
        write(tmp_path, Broken(), range(6))
    assert not (tmp_path / "f.json").exists()


def test_features_that_change_their_number_are_refused(tmp_path):
    frame = table(range(6))
    model = Counting()
    writer = StoreWriter(tmp_path / "f.json", RECIPE, row_keys(frame))
    growing = Request(model, frame, lambda row: np.zeros((2 + row // 3, 2, 3), np.uint8))
    with pytest.raises(DataError, match=r"layer 'a': found shapes \(4,\) and \(6,\) for different stimuli"):
        extract(writer, growing)


def test_rows_without_an_image_are_told_apart_by_id():
    frame = pd.DataFrame({"stimulus_id": ["x", "y", "z"], "digest": ["", "", "d"]})
    assert row_keys(frame) == ["id:x", "id:y", "d"]
    assert row_keys(frame, by_id=True) == ["id:x", "id:y", "id:z"]


def test_other_batches_make_no_other_store(tmp_path):
    first = write(tmp_path, Counting(batch=3), range(8)).sidecar
    for batch in (2, 5):
        model = Counting(batch=batch)
        assert write(tmp_path, model, range(8)).sidecar == first
        assert model.seen == []
    wide = Counting(("a", "b", "c"), batch=2)  # a new layer, in chunks of the store's three rows
    check(write(tmp_path, wide, range(8)), "abc", range(8))
    assert wide.seen == list(range(8))


def test_blocks_that_a_killed_job_had_whole_are_donors_too(tmp_path):
    class Dying(Counting):
        def features(self, stimuli: Any, layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
            if len(self.seen) >= 6:
                raise KeyboardInterrupt
            yield from super().features(stimuli, layers, maps)

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, Dying(), range(10))
    model, names = Counting(), [7, 5, 0, 0, 9, 3]
    check(write(tmp_path, model, names), "ab", names)
    assert model.seen == [7, 9]


def test_a_donor_with_a_flipped_byte_gives_only_its_other_blocks(tmp_path):
    store = write(tmp_path, Counting(), range(7))
    chunk = store.directory / "001" / "activation" / "c" / "1" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"\x00")
    model, names = Counting(), [6, 5, 2, 4, 0]
    check(write(tmp_path, model, names), "ab", names)
    assert model.seen == [5, 4]


def test_a_model_may_prepare_ahead_and_leave_its_values_on_a_device(tmp_path):
    class Prepared(Counting):
        def prepare(self, image: np.ndarray) -> tuple[str, np.ndarray]:
            return "prepared", image

        def features(self, stimuli: Any, layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
            assert [mark for mark, _ in stimuli] == ["prepared"] * len(stimuli)
            for batch in super().features([image for _, image in stimuli], layers, maps):
                yield {layer: {name: torch.as_tensor(x) for name, x in found.items()} for layer, found in batch.items()}

    check(write(tmp_path, Prepared(), [3, 1, 3, 2]), "ab", [3, 1, 3, 2])


def test_a_stimulus_that_cannot_be_read_stops_where_it_stands(tmp_path):
    frame, model = table(range(9)), Counting()

    def read(row: int) -> np.ndarray:
        if row == 7:
            raise DataError("s7.png: not readable")
        return np.full((2, 2, 3), row, np.uint8)

    with pytest.raises(DataError, match=r"s7\.png: not readable"):
        extract(StoreWriter(tmp_path / "f.json", RECIPE, row_keys(frame)), Request(model, frame, read))
    assert model.seen == [0, 1, 2, 3, 4, 5]
