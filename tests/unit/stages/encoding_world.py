"""A small world on disk: two subjects, features of three layers of which "b" drives the responses, and jobs over it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from isocortex.stages import kernels, splits
from isocortex.storage.store import StoreWriter, write_dataset_store
from isocortex.storage.tables import write_parquet, write_tree

LAYERS = ("a", "b", "c")


@dataclass
class World:
    """Paths relative to the folder that the tests work in."""

    n: int = 60
    repeats: int = 4
    neuroids: int = 6
    subjects: tuple[str, ...] = ("S1", "S2")
    noise: float = 1.0
    signal: float = 1.0
    test: float = 0.25
    folds: int = 3
    maps: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        return [f"s{index:03d}" for index in range(self.n)]

    def build(self) -> World:
        rng = np.random.default_rng(0)
        table = pd.DataFrame({"stimulus_id": self.ids, "digest": "", "path": "", "row": -1, "caption": ""})
        table["object"] = [f"o{index // 2}" for index in range(self.n)]
        write_parquet(table, "stimuli.parquet")
        self.maps_by_layer = {layer: rng.normal(size=(self.n, 3, 4, 4)).astype("f4") for layer in LAYERS}
        self.write_features()
        for subject in self.subjects:
            self.write_recording(subject, rng)
            splits.run(self.splits_spec(subject), "cpu")
        return self

    def write_features(self) -> None:
        writer = StoreWriter("features.json", {"features": 1}, self.ids)
        for number, layer in enumerate(LAYERS):
            group, maps = f"{number:03d}", self.maps_by_layer[layer]
            flat = maps.mean((2, 3)) if self.maps else maps.reshape(self.n, -1)[:, :12]
            flat = np.concatenate([flat, np.ones((self.n, 1), "f4")], axis=1)
            writer.group(group, layer=layer, n_features=flat.shape[1])
            writer.create(group, "activation", flat.shape, "f4", 20, ("stimulus", "feature"))
            writer.write(group, "activation", 0, flat)
            if self.maps:
                writer.create(group, "maps", maps.shape, "f4", 20, ("stimulus", "channel", "y", "x"))
                writer.write(group, "maps", 0, maps)
        writer.finish(model="net", set="all", stimulus_ids=self.ids, layers=list(LAYERS))

    def truth(self, rng: np.random.Generator) -> np.ndarray:
        maps = self.maps_by_layer["b"]
        if self.maps:
            self.where = [(index % 4, (index // 4) % 4) for index in range(self.neuroids)]
            weights = rng.normal(size=(self.neuroids, 3))
            clean = np.stack([maps[:, :, y, x] @ w for (y, x), w in zip(self.where, weights, strict=True)], axis=1)
        else:
            clean = maps.reshape(self.n, -1)[:, :12] @ rng.normal(size=(12, self.neuroids))
        return clean / clean.std(0)

    def write_recording(self, subject: str, rng: np.random.Generator) -> None:
        clean = self.signal * self.truth(rng)
        trials = clean[:, None] + self.noise * rng.normal(size=(self.n, self.repeats, self.neuroids))
        trials = trials.astype("f4")
        shown = np.repeat(self.ids, self.repeats)
        recording = xr.Dataset(
            {"response": (("presentation", "neuroid"), trials.reshape(-1, self.neuroids))},
            {"stimulus_id": ("presentation", shown)},
        )
        write_dataset_store(recording, f"{subject}.json", {"recording": subject})
        part = xr.Dataset(
            {
                "trials": (("stimulus", "repeat", "neuroid"), trials),
                "response": (("stimulus", "neuroid"), trials.mean(1)),
                "n_repeats": ("stimulus", np.full(self.n, self.repeats)),
                "reliability": ("neuroid", np.full(self.neuroids, 0.8)),
            },
            {
                "stimulus_id": ("stimulus", np.array(self.ids)),
                "neuroid_id": ("neuroid", np.array([f"{subject}-{index}" for index in range(self.neuroids)])),
                **{axis: ("neuroid", np.full(self.neuroids, np.nan)) for axis in "xyz"},
            },
            {"set": "all", "n_dropped": 2, "dropped": json.dumps({"constant": 2}), "dropped_ids": "[]"},
        )
        self.parts = {**getattr(self, "parts", {}), subject: part}
        self.write_brain()

    def write_brain(self) -> None:
        root = xr.Dataset(attrs={"region": "V4", "level": "patterns", "study": "s"})
        write_tree(xr.DataTree.from_dict({"/": root, **{f"/{name}": part for name, part in self.parts.items()}}), "brain.nc")

    def splits_spec(self, subject: str, **options: Any) -> dict[str, Any]:
        chosen = {"test": self.test, "folds": self.folds, "groups": None, "seed": 0, "subject": subject, **options}
        return {
            "stage": "splits",
            "inputs": {"recording": f"{subject}.json", "stimuli": "stimuli.parquet"},
            "output": f"splits-{subject}.json",
            "options": chosen,
        }

    def kernels_spec(self, **options: Any) -> dict[str, Any]:
        return {
            "stage": "kernels",
            "inputs": {"features": "features.json", "splits": {name: f"splits-{name}.json" for name in self.subjects}},
            "output": "kernels.json",
            "options": {"model": "net", "set": "all", "encode": True, "kernels_budget_gb": 50, **options},
        }

    def cell_spec(self, stage: str, **options: Any) -> dict[str, Any]:
        common = {
            "study": "s",
            "dataset": "d",
            "region": "V4",
            "model": "net",
            "subjects": dict.fromkeys(self.subjects, "all"),
            "contaminated": [],
            "layers": None,
            "inference": {"confidence": 0.95, "seed": 0, "draws": 200, "permutations": "auto", "generalise": "auto"},
        }
        sources = {"kernels": {"all": "kernels.json"}} if stage == "encode" else {"features": {"all": "features.json"}}
        own = (
            {"encoders": {"ridge": {"alphas": "auto"}}}
            if stage == "encode"
            else {"readouts": {"factorized": {}}, "layers": ["b", "c"]}
        )
        inputs = {"brain": "brain.nc", "splits": {name: f"splits-{name}.json" for name in self.subjects}, **sources}
        return {"stage": stage, "inputs": inputs, "output": f"{stage}.nc", "options": {**common, **own, **options}}

    def run_kernels(self, **options: Any) -> None:
        kernels.run(self.kernels_spec(**options), "cpu")


def read_rows(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """Rows of a cell."""
    return json.loads(dataset.attrs["rows"])


def digest(path: str) -> bytes:
    """All bytes of a file."""
    return Path(path).read_bytes()
