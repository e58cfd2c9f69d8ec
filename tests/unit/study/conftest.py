"""A small study whose every part is the user's own."""

from __future__ import annotations

import copy
from typing import Any

import pytest

STUDY: dict[str, Any] = {
    "study": "small",
    "dataset": {
        "name": "mine",
        "files": {"a.npz": None},
        "stimuli": {"all": {"n": 20, "ids": {"path": "a.npz", "key": "id"}}},
        "subjects": {
            name: {"stimuli": "all", "adapter": "npz", "path": "a.npz", "key": name, "dims": ["stimulus", "neuroid"]}
            for name in ("S1", "S2")
        },
        "regions": {"V1": {"where": {"roi": ["V1"]}, "neuroids": {"S1": 5, "S2": 6}}, "V4": {"where": {"roi": ["V4"]}}},
    },
    "models": {
        "gabor": {"source": "gabor"},
        "net": {"source": "callable", "call": "mine.py:build", "layers": ["a", "b"], "weights": "w.pt"},
        "blank": {"like": "net", "weights": "random", "seed": 3},
    },
}


@pytest.fixture
def mapping() -> dict[str, Any]:
    return copy.deepcopy(STUDY)
