"""Kinds of models that stand in for a region where a study names none: seeded families, far from each other and near."""

from __future__ import annotations

from typing import Any

BUILD = "isocortex.features.seeded:build"
SIDE = 32  # pixels that images are brought to, so that their size does not matter
SEEDS = (0, 1)
_ALL = ["conv1", "conv2", "conv3", "conv4"]

# Families differ in width, depth, filters, norm, nonlinearity and pooling. `rectified`, `saturating` and `shallow` are near
# each other, the rest farther, so that a method that tells families apart is not yet one that tells neighbours apart.
FAMILIES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "rectified": ({"channels": 64, "depth": 4}, _ALL),
    "saturating": ({"channels": 32, "depth": 4, "nonlinearity": "tanh"}, _ALL),
    "shallow": ({"channels": 64, "depth": 2, "kernel": 7, "norm": "none"}, _ALL[:2]),
    "deep": ({"channels": 32, "depth": 6, "nonlinearity": "abs", "norm": "none"}, ["conv4", "conv5", "conv6"]),
    "colours": ({"channels": 32, "depth": 3, "kernel": 1, "norm": "none", "pooling": "average"}, _ALL[:3]),
    "energy": ({"channels": 32, "depth": 4, "nonlinearity": "square", "norm": "map"}, _ALL),
    "absolute": ({"channels": 32, "depth": 4, "nonlinearity": "abs", "norm": "map"}, _ALL),
    "maxima": ({"channels": 32, "depth": 4, "norm": "map", "pooling": "max"}, _ALL),
}


def default_kinds() -> dict[str, dict[str, Any]]:
    """Kind → entry with seeds; no two networks share a seed, for those of one width would share weights."""
    return {
        name: {
            "source": "callable",
            "call": BUILD,
            "options": {**options, "size": SIDE},
            "layers": list(layers),
            "pool": 2,
            "seeds": [1000 * (place + 1) + seed for seed in SEEDS],
        }
        for place, (name, (options, layers)) in enumerate(FAMILIES.items())
    }
