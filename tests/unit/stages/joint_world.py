"""Two models over the small world: `low` and `high` each have variance of their own and some in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from encoding_world import World

from isocortex.stages import joint, kernels
from isocortex.storage.store import StoreWriter
from isocortex.storage.tables import read_netcdf

# Variance of the responses by its source: of one model alone, of the other, of both; together they are 1.
OWN_LOW, OWN_HIGH, COMMON = 0.4, 0.2, 0.4


class JointWorld(World):
    """Responses are a mixture of three independent parts of the features: `low` has the first and last, `high` the others."""

    width = 4

    def build(self) -> JointWorld:
        rng = np.random.default_rng(1)
        sources = rng.normal(size=(4, self.n, self.width))
        # Exactly uncorrelated parts with unit variance, so that shares of variance are known.
        whitened = np.linalg.qr(sources.transpose(1, 0, 2).reshape(self.n, -1) - sources.mean(1).reshape(-1))[0]
        own_low, own_high, common, noise = np.split(whitened * self.n**0.5, 4, axis=1)
        self.features = {
            "low": {"one": np.hstack([own_low, common])},
            "high": {"one": np.hstack([own_high, common]), "two": noise},
        }
        self.sources = (own_low, own_high, common)
        super().build()
        return self

    def truth(self, rng: np.random.Generator) -> np.ndarray:
        parts = []
        for source, variance in zip(self.sources, (OWN_LOW, OWN_HIGH, COMMON), strict=True):
            weights = rng.normal(size=(self.width, self.neuroids))
            part = source @ weights
            parts.append(part / part.std(0) * variance**0.5)
        return np.sum(parts, axis=0)

    def run_joint_kernels(self, **options: Any) -> None:
        for model, layers in self.features.items():
            writer = StoreWriter(f"features-{model}.json", {"features": model}, self.ids)
            for number, (layer, x) in enumerate(layers.items()):
                group = f"{number:03d}"
                writer.group(group, layer=layer, n_features=x.shape[1])
                writer.create(group, "activation", x.shape, "f4", 20, ("stimulus", "feature"))
                writer.write(group, "activation", 0, x.astype("f4"))
            writer.finish(model=model, set="all", stimulus_ids=self.ids, layers=list(layers))
            spec = self.kernels_spec(model=model, **options)
            kernels.run(
                {**spec, "inputs": {**spec["inputs"], "features": f"features-{model}.json"}, "output": f"{model}.json"}, "cpu"
            )

    def joint_spec(self, **options: Any) -> dict[str, Any]:
        spec = self.cell_spec("encode", model="both")
        chosen = {name: value for name, value in spec["options"].items() if name not in ("encoders", "layers")}
        chosen |= {"of": [{"model": "low", "layers": None}, {"model": "high", "layers": None}]}
        chosen |= {"methods": {"banded": {"candidates": 6, "alphas": "auto", "seed": 0}, "stacking": {}}, **options}
        models = dict.fromkeys(item["model"] for item in chosen["of"])
        inputs = {**spec["inputs"], "kernels": {model: {"all": f"{model}.json"} for model in models}}
        return {"stage": "joint", "inputs": inputs, "output": "joint.nc", "options": chosen}


def made(**options: Any) -> JointWorld:
    """A world of one subject, and the kernels of both models."""
    world = JointWorld(**{"n": 96, "subjects": ("S1",), **options}).build()
    world.run_joint_kernels()
    return world


def run(world: JointWorld, **options: Any) -> xr.Dataset:
    """The cell of its joint encoder."""
    joint.run(world.joint_spec(**options), "cpu")
    return read_netcdf("joint.nc")


def shares(cell: xr.Dataset, name: str, method: str = "banded", subject: str = "all") -> np.ndarray:
    """Values of a share in one method and subject."""
    return cell[name].sel({"method": method, "subject": subject}).values
