"""Small `brain.nc` and kernels stores for the tests of the stages that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray

from isocortex.similarity.coordinates import coordinates
from isocortex.storage.store import StoreWriter
from isocortex.storage.tables import write_tree


def stimulus_ids(n: int, prefix: str = "s") -> list[str]:
    return [f"{prefix}{k:04d}" for k in range(n)]


def write_kernels(path: Path, layers: dict[str, np.ndarray], ids: list[str], with_coordinates: bool = False) -> Path:
    """A kernels store with raw Grams of the layers' features (n, p), and their coordinates where asked."""
    writer = StoreWriter(path, {"test": 1}, ids)
    for k, (name, x) in enumerate(layers.items()):
        group = f"{k:03d}"
        writer.group(group, layer=name, n_features=x.shape[1])
        x = x.astype(np.float64)
        arrays = [("gram", x @ x.T, ["stimulus", "stimulus_"]), ("row_mean", x.mean(1), ["stimulus"])]
        if with_coordinates:
            arrays.append(("coordinates", coordinates(torch.as_tensor(x @ x.T)).numpy(), ["stimulus", "coordinate"]))
        for array, values, dims in arrays:
            writer.create(group, array, values.shape, "float64", len(ids), dims)
            writer.write(group, array, 0, values)
    writer.finish(stimulus_ids=ids, layers=list(layers))
    return path


def subject_patterns(trials: np.ndarray, ids: list[str], set_name: str = "all") -> xarray.Dataset:
    """A subject of `brain.nc` from trials (n, R, p), NaN for missing repeats."""
    p = trials.shape[2]
    return xarray.Dataset(
        {
            "trials": (("stimulus", "repeat", "neuroid"), trials.astype(np.float32)),
            "response": (("stimulus", "neuroid"), np.nanmean(trials, axis=1).astype(np.float32)),
            "n_repeats": ("stimulus", np.isfinite(trials).all(2).sum(1)),
            "reliability": ("neuroid", np.full(p, 0.5, dtype=np.float32)),
        },
        coords={"stimulus_id": ("stimulus", ids), "neuroid_id": ("neuroid", [f"v{k}" for k in range(p)])},
        attrs={"set": set_name, "n_dropped": 2, "dropped": '{"constant": 2, "no valid response": 0}', "dropped_ids": "[]"},
    )


def subject_rdm(square: np.ndarray, ids: list[str], set_name: str = "all") -> xarray.Dataset:
    return xarray.Dataset(
        {"rdm": (("stimulus", "stimulus_"), square)},
        coords={"stimulus_id": ("stimulus", ids)},
        attrs={"set": set_name, "n_dropped": 0, "dropped": "{}", "dropped_ids": "[]"},
    )


def write_brain(path: Path, subjects: dict[str, xarray.Dataset], level: str = "patterns") -> Path:
    root = xarray.Dataset(attrs={"region": "V4", "level": level, "study": "test", "absent": "{}"})
    write_tree(xarray.DataTree.from_dict({"/": root, **{f"/{name}": data for name, data in subjects.items()}}), path)
    return path


def common_options(subjects: dict[str, str], model: str = "net", **inference: Any) -> dict[str, Any]:
    """COMMON options of the cells' stages."""
    settings = {"confidence": 0.95, "seed": 0, "draws": 100, "permutations": "auto", "generalise": "auto", **inference}
    names = {"study": "test", "dataset": "made", "region": "V4", "model": model, "subjects": subjects}
    return {**names, "contaminated": [], "inference": settings, "layers": None}


def compare_spec(brain: Path, kernels: dict[str, Path], output: Path, options: dict[str, Any]) -> dict[str, Any]:
    inputs = {"brain": str(brain), "kernels": {name: str(path) for name, path in kernels.items()}}
    given = {"family": "rdm", "metrics": {"rsa": {}}, **options}
    return {"stage": "compare", "inputs": inputs, "output": str(output), "options": given}
