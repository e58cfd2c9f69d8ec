"""What tests of sources share: pictures, captions, and a folder in which models are saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isocortex.features.model import Context

CAPTIONS = ["a dog", "a cat on a mat", "the cat", "a small dog and a cat"]


@pytest.fixture
def pictures() -> list[np.ndarray]:
    """Four pictures of one size, wider than high, with structure."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (4, 6, 8, 3))
    return list(coarse.repeat(10, 1).repeat(10, 2).astype(np.uint8))


@pytest.fixture
def table() -> pd.DataFrame:
    """Four captioned stimuli with a label."""
    ids = [f"s{row}" for row in range(4)]
    kinds = ["dog", "cat", "cat", "dog"]
    return pd.DataFrame({"stimulus_id": ids, "digest": "", "path": "", "row": -1, "caption": CAPTIONS, "kind": kinds})


@pytest.fixture
def context(tmp_path: Path, table: pd.DataFrame) -> Context:
    """Models are looked for in the test's own folder."""
    return Context(tmp_path, tmp_path, table, model="m")
