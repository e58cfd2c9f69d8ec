"""A world whose neuroids follow an object: what they read lies where the object is, and a second model shows where that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from encoding_world import World

from isocortex.storage.store import StoreWriter

SIDE = 4


@dataclass
class MovingWorld(World):
    """Layers as in `World`; the object stands at a place of its own in every stimulus. moves: whether neuroids follow it."""

    maps: bool = True
    moves: bool = True

    def truth(self, rng: np.random.Generator) -> np.ndarray:
        """Layer b at the object's place, or at the middle; and the guide's features."""
        places = np.random.default_rng(7).integers(0, SIDE, size=(self.n, 2))
        self.write_guide(places)
        if not self.moves:
            places = np.ones_like(places)
        maps = self.maps_by_layer["b"]
        seen = maps[np.arange(self.n), :, places[:, 0], places[:, 1]]
        clean = seen @ rng.normal(size=(3, self.neuroids))
        return clean / clean.std(0)

    def write_guide(self, places: np.ndarray) -> None:
        """A model of one channel that is 1 where the object is; its stimuli come in another order than the core's."""
        maps = np.zeros((self.n, 1, SIDE, SIDE), "f4")
        maps[np.arange(self.n), 0, places[:, 0], places[:, 1]] = 1
        writer = StoreWriter("guide.json", {"features": 2}, self.ids[::-1])
        writer.group("000", layer="other", n_features=1)
        writer.group("001", layer="where", n_features=1)
        writer.create("001", "maps", maps.shape, "f2", 20, ("stimulus", "channel", "y", "x"))
        for start in range(0, self.n, 20):
            writer.write("001", "maps", start, maps[::-1][start : start + 20].astype("f2"))
        writer.finish(model="finder", set="all", stimulus_ids=self.ids[::-1], layers=["other", "where"])

    def guided_spec(self, contaminated: tuple[str, ...] = (), **options: Any) -> dict[str, Any]:
        """A readout job whose localiser sees the other model."""
        spec = self.cell_spec("readout", **options)
        spec["inputs"]["guide"] = {"all": "guide.json"}
        spec["options"]["guide"] = {"model": "finder", "layer": "where", "contaminated": list(contaminated)}
        return spec
