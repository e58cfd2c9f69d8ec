"""How layers of known models lie in a file, and are read again, with those of the study's own models beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from isocortex.digests import digest_json
from isocortex.errors import DataError
from isocortex.features.extract import layer_groups
from isocortex.identification import Known
from isocortex.storage.store import Store
from isocortex.storage.tables import read_netcdf

BLOCK_BYTES = 64 << 20
Layers = Mapping[str, np.ndarray]


def some_units(units: int, most: int, seed: int, name: Sequence[str]) -> np.ndarray:
    """Ascending indices of at most `most` of a layer's units, a function of the seed and of the layer's name alone."""
    if units <= most:
        return np.arange(units)
    rng = np.random.default_rng([seed, int(digest_json(list(name))[:8], 16)])
    return np.sort(rng.choice(units, most, replace=False))


def known_dataset(stimulus_ids: Sequence[str], found: Mapping[tuple[str, str], Layers]) -> xr.Dataset:
    """Every layer as `layer_<k>` (stimulus, unit_<k>), with kind, instance and layer as attributes."""
    named = [(kind, instance, layer, values) for (kind, instance), some in found.items() for layer, values in some.items()]
    return xr.Dataset(
        {
            f"layer_{k}": (("stimulus", f"unit_{k}"), values, {"kind": kind, "instance": instance, "layer": layer})
            for k, (kind, instance, layer, values) in enumerate(named)
        },
        coords={"stimulus_id": ("stimulus", list(stimulus_ids))},
    )


def read_known(inputs: Mapping[str, Any], options: Mapping[str, Any], set_name: str, ids: Sequence[str]) -> list[Known]:
    """All known models on the stimuli `ids` of a set, in the order of `options["kinds"]`."""
    path = (inputs.get("known") or {}).get(set_name)
    built = _built(path, ids) if path else {}
    found = []
    for item in options["kinds"]:
        for one in item["instances"]:
            kind, name = item["kind"], one["instance"]
            layers = _of_study(inputs["features"][name][set_name], name, options, ids) if one["of_study"] else built[kind, name]
            found.append(Known(kind, name, layers))
    return found


def _built(path: str, ids: Sequence[str]) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    data = read_netcdf(path)
    rows = _rows([str(name) for name in data["stimulus_id"].values], ids, path)
    found: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for values in data.data_vars.values():
        about = values.attrs
        found.setdefault((about["kind"], about["instance"]), {})[about["layer"]] = values.values[rows]
    return found


def _of_study(path: str, model: str, options: Mapping[str, Any], ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Layers of a model of the study, from its store of features."""
    store = Store(path)
    groups = layer_groups(store.sidecar)
    rows = _rows([str(name) for name in store.sidecar["stimulus_ids"]], ids, path)
    found = {}
    for layer in options["layers"].get(model) or list(groups):
        units = some_units(store.sidecar["n_features"][layer], options["max_units"], options["seed"], (model, layer))
        found[layer] = _in_blocks(store.array(groups[layer], "activation"), rows, units)
    return found


def _in_blocks(values: Any, rows: np.ndarray, units: np.ndarray) -> np.ndarray:
    """float32 values [rows, units] of an array on disk, of which no more than `BLOCK_BYTES` are held at once."""
    n, p = values.shape
    step = max(1, BLOCK_BYTES // (max(1, p) * values.dtype.itemsize))
    found = np.empty((len(rows), len(units)), dtype=np.float32)
    for start in range(0, n, step):
        inside = np.flatnonzero((rows >= start) & (rows < start + step))
        if len(inside):
            block = np.asarray(values[start : start + step])
            found[inside] = block[np.ix_(rows[inside] - start, units)]
    return found


def _rows(known: Sequence[str], ids: Sequence[str], where: str) -> np.ndarray:
    place = {name: row for row, name in enumerate(known)}
    missing = [name for name in ids if name not in place]
    if missing:
        raise DataError(
            f"{where}: lacks {len(missing)} of {len(ids)} stimuli of the region (first: {missing[0]!r}), expected all; make it "
            "again with these stimuli"
        )
    return np.array([place[name] for name in ids])
