"""Two subjects, their pictures on disk, and jobs of the stage `core` over them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from planted_cores import Planted, plant

from isocortex.encoding.splits import make_splits
from isocortex.stages import core
from isocortex.storage.atomic import write_json
from isocortex.storage.images import image_digest
from isocortex.storage.tables import write_parquet, write_tree

CORE: dict[str, Any] = {
    "size": 12, "channels": [6], "kernels": [5], "strides": [2], "separable": False, "epochs": 12, "batch": 16, "seeds": 2,
    "learning_rate": 0.02, "patience": 3, "drops": 1,
}  # fmt: skip


@dataclass
class CoreWorld:
    """Subject S1 saw the set `one`, S2 the set `two`, whose first pictures are `shared` of the other's, under other names."""

    n: int = 120
    shared: int = 40
    neuroids: int = 4
    repeats: int = 3
    test: float = 0.2
    degrees: float | None = None
    parts: dict[str, Any] = field(default_factory=dict)

    def build(self) -> CoreWorld:
        planted = plant(2 * self.n - self.shared, 12, 2 * self.neuroids, 0.0)
        rows = {"one": np.arange(self.n), "two": np.arange(self.n - self.shared, 2 * self.n - self.shared)}
        for place, (name, subject) in enumerate((("one", "S1"), ("two", "S2"))):
            np.save(f"{name}.npy", planted.images[rows[name]])
            ids = [f"{name}{k:03d}" for k in range(self.n)]
            digests = [image_digest(image) for image in planted.images[rows[name]]]
            table = {"stimulus_id": ids, "digest": digests, "path": f"{name}.npy", "row": np.arange(self.n), "caption": ""}
            write_parquet(pd.DataFrame(table), f"{name}.parquet")
            split = make_splits(ids, test=self.test, folds=4, digests=digests)
            write_json(f"splits-{subject}.json", {"subject": subject, **split})
            columns = slice(place * self.neuroids, (place + 1) * self.neuroids)
            self.parts[subject] = self._part(subject, name, ids, planted.clean[rows[name], columns])
        self.planted, self.rows = planted, rows
        self.write_brain()
        return self

    def _part(self, subject: str, name: str, ids: list[str], clean: np.ndarray) -> xr.Dataset:
        rng = np.random.default_rng(len(self.parts))
        trials = (clean[:, None] + 0.7 * rng.normal(size=(len(ids), self.repeats, clean.shape[1]))).astype("f4")
        return xr.Dataset(
            {
                "trials": (("stimulus", "repeat", "neuroid"), trials),
                "response": (("stimulus", "neuroid"), trials.mean(1)),
                "n_repeats": ("stimulus", np.full(len(ids), self.repeats)),
                "reliability": ("neuroid", np.full(clean.shape[1], 0.8)),
            },
            {
                "stimulus_id": ("stimulus", np.array(ids)),
                "neuroid_id": ("neuroid", np.array([f"{subject}-{k}" for k in range(clean.shape[1])])),
            },
            {"set": name, "n_dropped": 0, "dropped": json.dumps({}), "dropped_ids": "[]"},
        )

    def write_brain(self, level: str = "patterns") -> None:
        root = xr.Dataset(attrs={"region": "V4", "level": level, "study": "s"})
        write_tree(xr.DataTree.from_dict({"/": root, **{f"/{name}": part for name, part in self.parts.items()}}), "brain.nc")

    def spec(self, readouts: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        inference = {"confidence": 0.95, "seed": 0, "draws": 200, "permutations": "auto", "generalise": "auto"}
        return {
            "stage": "core",
            "inputs": {
                "brain": "brain.nc",
                "splits": {name: f"splits-{name}.json" for name in ("S1", "S2")},
                "stimuli": {name: f"{name}.parquet" for name in ("one", "two")},
            },
            "output": {"cell": "cores/mine.nc", "weights": "cores/mine.npz"},
            "options": {
                "study": "s", "dataset": "d", "region": "V4", "model": "mine", "contaminated": [], "layers": None, "root": ".",
                "subjects": {"S1": "one", "S2": "two"}, "inference": inference, "core": CORE,
                "readouts": readouts or {"gaussian": {}}, "degrees": {"one": self.degrees, "two": self.degrees}, **options,
            },
        }  # fmt: skip

    def run(self, readouts: dict[str, Any] | None = None, **options: Any) -> None:
        core.run(self.spec(readouts, **options), "cpu")


__all__ = ["CORE", "CoreWorld", "Planted"]
