"""How features are kept: float16 until a value does not fit, projected layers, memory that does not grow."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from isocortex.errors import DataError
from isocortex.features import extract as extraction
from isocortex.features import projection
from isocortex.features.extract import Request, Storing, extract, row_keys
from isocortex.features.half import fits_half
from isocortex.features.model import Batch
from isocortex.features.projection import sparse_projection
from isocortex.storage.store import Store, StoreWriter

HALF = Storing(half=True)


class Table:
    """Layers whose rows are given, by the stimulus's number; notes which were computed."""

    input = "images"
    digest = "table"

    def __init__(self, batch: int = 3, fatal: int | None = None, **layers: np.ndarray) -> None:
        self._values, self.layers, self.batch, self.fatal = layers, tuple(layers), batch, fatal
        self.seen: list[int] = []
        self.asked: list[tuple[tuple[str, ...], list[int]]] = []

    def features(self, stimuli: Any, layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
        rows = list(stimuli)
        if self.fatal in rows and "b" in layers:
            raise KeyboardInterrupt
        self.seen += rows
        self.asked.append((tuple(layers), rows))
        values = {layer: self._values[layer][rows].astype(np.float32) for layer in layers}
        yield {
            layer: {"activation": x.reshape(len(rows), -1)} | ({"maps": x} if layer in maps else {})
            for layer, x in values.items()
        }


def write(folder: Path, model: Table, names: Sequence[int], storing: Storing = HALF, maps: tuple[str, ...] = ()) -> Store:
    frame = pd.DataFrame({"stimulus_id": [f"s{k}-{row}" for row, k in enumerate(names)], "digest": [f"d{k}" for k in names]})
    writer = StoreWriter(folder / "f.json", {"t": 1}, row_keys(frame))
    counts = extract(writer, Request(model, frame, lambda row: names[row], maps, storing))
    writer.finish(layers=list(model.layers), n_features=counts)
    return Store(folder / "f.json")


def values(n: int = 12, **large: float) -> dict[str, np.ndarray]:
    """Two layers; of the second, some stimuli with one large value."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(n, 5)), rng.normal(size=(n, 4))
    for name, value in large.items():
        b[int(name[1:]), 2] = value
    return {"a": a, "b": b}


def same(folder: Path, other: Path) -> bool:
    """Whether two stores are equal byte by byte, sidecars and all."""
    found = [{p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file() and "journal" not in p.name}
             for f in (folder, other)]  # fmt: skip
    return found[0] == found[1]


def test_networks_are_kept_in_half_precision(tmp_path):
    x = values()
    store = write(tmp_path, Table(**x), range(12))
    for group, name in (("000", "a"), ("001", "b")):
        assert store.groups[group]["dtype"] == {"activation": "float16"}
        np.testing.assert_array_equal(store.read(group, "activation"), x[name].astype(np.float32).astype(np.float16))


@pytest.mark.parametrize("row", [0, 4, 11])
@pytest.mark.parametrize("value", [6.1e4, -7e4, 1e9])
def test_one_large_value_makes_its_whole_layer_single_precision(tmp_path, row, value):
    x = values(**{f"s{row}": value})
    model = Table(**x)
    store = write(tmp_path, model, range(12))
    assert store.groups["000"]["dtype"] == {"activation": "float16"}
    assert store.groups["001"]["dtype"] == {"activation": "float32"}
    np.testing.assert_array_equal(store.read("001", "activation"), x["b"].astype(np.float32))
    again = [rows for layers, rows in model.asked if layers == ("b",)]
    assert [k for rows in again for k in rows] == list(range(3 * (row // 3)))  # rows before, and no more


def test_sixty_thousand_is_not_too_large(tmp_path):
    store = write(tmp_path, Table(**values(s5=6e4)), range(12))
    assert store.read("001", "activation").dtype == np.float16


def test_the_type_of_a_layer_is_that_of_its_stimuli_in_any_order(tmp_path):
    x = values(s5=7e4)
    for name, order in (("up", list(range(12))), ("down", list(range(12))[::-1])):
        (tmp_path / name).mkdir()
        store = write(tmp_path / name, Table(**x), order)
        assert store.read("001", "activation").dtype == np.float32
        np.testing.assert_array_equal(store.read("001", "activation"), x["b"].astype(np.float32)[order])


@pytest.mark.parametrize("fatal", [0, 2, 7, 11])
def test_a_kill_before_or_after_the_large_value_changes_nothing(tmp_path, fatal):
    x, names = values(s7=7e4), [*range(12), 0, 7, 3]
    (tmp_path / "calm").mkdir(), (tmp_path / "killed").mkdir()
    write(tmp_path / "calm", Table(**x), names)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "killed", Table(**x, fatal=fatal), names)
    write(tmp_path / "killed", Table(**x), names)
    assert same(tmp_path / "calm", tmp_path / "killed")


def test_a_stimulus_shown_again_after_the_large_value(tmp_path):
    x, names = values(s4=7e4), [0, 1, 2, 4, 0, 1, 2, 0, 1]
    model = Table(**x)
    store = write(tmp_path, model, names)
    np.testing.assert_array_equal(store.read("001", "activation"), x["b"].astype(np.float32)[names])
    np.testing.assert_array_equal(store.read("000", "activation"), x["a"].astype(np.float16)[names])
    assert sorted(model.seen) == [0, 0, 1, 1, 2, 2, 4, 4]  # twice: before the value, and where a copied row was too coarse


def test_half_a_donor_is_no_donor_of_a_single_precision_layer(tmp_path):
    x = values(s9=7e4)
    write(tmp_path, Table(**x), range(9))
    model = Table(**x)
    store = write(tmp_path, model, range(12))
    np.testing.assert_array_equal(store.read("001", "activation"), x["b"].astype(np.float32))
    assert [layers for layers, rows in model.asked if rows[0] < 9] == [("b",)] * 3
    without = Table(**x)
    store = write(tmp_path, without, range(8))  # what is left fits again
    np.testing.assert_array_equal(store.read("001", "activation"), x["b"][:8].astype(np.float32).astype(np.float16))
    assert without.seen == []


@pytest.mark.parametrize(
    ("rows", "fits"),
    [
        ([[6e4, 0.0]], True),
        ([[60001.0, 0.0]], False),
        ([[0.0, 0.0]], True),
        ([[1e-5, -2e-5], [1.0, 1.0]], False),  # nothing but what float16 rounds to a few bits
        ([[1e-9, 7e-5]], True),
        (np.zeros((2, 0)), True),
        (np.full((2, 3, 4), 5.0), True),
    ],
)
def test_what_half_precision_holds(rows, fits):
    assert fits_half(np.array(rows, np.float32)) is fits


def wide(n: int = 8, p: int = 400) -> np.ndarray:
    return np.random.default_rng(1).gamma(0.5, size=(n, p))


def test_wide_layers_are_projected_and_narrow_ones_and_maps_are_not(tmp_path):
    x = {"big": wide().reshape(8, 4, 10, 10), "small": wide(p=30)}
    storing = Storing(half=False, project=50, seed=3)
    store = write(tmp_path, Table(**x), range(8), storing, maps=("big",))
    assert store.groups["000"] == {
        "layer": "big", "n_features": 50, "projected": 50, "n_units": 400, "dtype": {"activation": "float32", "maps": "float32"}
    }  # fmt: skip
    assert "projected" not in store.groups["001"]
    assert store.sidecar["n_features"] == {"big": 50, "small": 30}
    matrix = sparse_projection(400, 50, 3, "big")
    assert matrix is not None
    dense, flat = matrix.toarray(), x["big"].reshape(8, 400)
    mean = flat.mean(1, keepdims=True)
    expected = (flat - mean) @ dense.T + np.sqrt(400 / 50) * mean
    np.testing.assert_allclose(store.read("000", "activation"), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(store.read("000", "maps"), x["big"].astype(np.float32))
    np.testing.assert_array_equal(store.read("001", "activation"), x["small"].astype(np.float32))


def test_a_projection_is_remembered_where_nothing_is_computed(tmp_path):
    storing = Storing(project=50)
    first = write(tmp_path, Table(big=wide()), range(8), storing)
    rows = first.read("000", "activation")
    for names in (list(range(8)), [5, 2]):  # all there; all from the donor
        model = Table(big=wide())
        store = write(tmp_path, model, names, storing)
        assert model.seen == []
        assert store.groups["000"] == first.groups["000"]
        np.testing.assert_array_equal(store.read("000", "activation"), rows[names])


def test_infinity_is_seen_before_a_projection_hides_it(tmp_path):
    x = wide()
    x[5, 17] = np.inf
    with pytest.raises(DataError, match=r"layer 'big': found NaN or infinite activation for stimulus 's5-5', expected numbers"):
        write(tmp_path, Table(big=x), range(8), Storing(half=True, project=50))


def test_matrices_that_do_not_fit_are_made_again_and_are_the_same(tmp_path, monkeypatch):
    made = []
    honest = projection.sparse_projection
    monkeypatch.setattr(projection, "sparse_projection", lambda *given: made.append(given) or honest(*given))
    x = {"a": wide(), "b": wide(p=500)}
    kept = write(tmp_path, Table(**x), range(8), Storing(project=50))
    assert [given[3] for given in made] == ["a", "b"]
    made.clear()
    (tmp_path / "tight").mkdir()
    monkeypatch.setattr(extraction, "Projections", partial(projection.Projections, kept_bytes=1))
    tight = write(tmp_path / "tight", Table(**x), range(8), Storing(project=50))
    assert [given[3] for given in made] == ["a", "b"] * 3
    for group in ("000", "001"):
        np.testing.assert_array_equal(tight.read(group, "activation"), kept.read(group, "activation"))


class Counted(Table):
    """Layers made on the spot, and how many images are alive at most."""

    def __init__(self, width: int) -> None:
        super().__init__(8, a=np.zeros((1, 1)))
        self.width = width

    def features(self, stimuli: Any, layers: Sequence[str], maps: Sequence[str] = ()) -> Iterator[Batch]:
        rows = [int(image[0]) for image in stimuli]
        values = np.random.default_rng(rows[0]).normal(size=(len(rows), self.width)).astype(np.float32)
        yield {"a": {"activation": values}}


def test_memory_does_not_grow_with_the_number_of_stimuli(tmp_path):
    """Peaks of 100 and of 500 stimuli are alike, though five times as much is read, computed and written."""
    import tracemalloc

    def peak(n: int) -> int:
        frame = pd.DataFrame({"stimulus_id": [f"s{k}" for k in range(n)], "digest": [f"d{k}" for k in range(n)]})
        read = lambda row: np.full(50_000, row, np.int32)
        writer = StoreWriter(tmp_path / f"{n}.json", {"n": n}, row_keys(frame))
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        extract(writer, Request(Counted(20_000), frame, read, (), Storing(half=True, project=500)))
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        peak(16)  # what is imported and cached once
        # How far the images are ahead of the model is a matter of timing, so that one short run may not show its peak.
        small, large = max(peak(n) for n in (98, 99, 100)), peak(500)
    finally:
        tracemalloc.stop()
    block = 8 * 20_000 * 4
    assert small > 24 * 200_000 / 2  # images ahead of the model are seen in it
    # Images in flight are a matter of timing; five times as much held would be five times as large.
    assert large < 1.5 * small + block
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
