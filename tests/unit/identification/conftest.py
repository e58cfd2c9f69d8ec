"""Known models that are easy to tell apart, and trials whose noise neuroids share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from isocortex.identification import Known, RegionNoise, region_noise

Models = Callable[..., list[Known]]


def _models(kinds: int = 3, instances: int = 2, layers: int = 2, n: int = 48, p: int = 30, seed: int = 0) -> list[Known]:
    """Kinds see stimuli through latents of their own; instances are other random readings of these."""
    shown = np.random.default_rng([seed, 1]).standard_normal((n, 12))
    found = []
    for kind in range(kinds):
        for instance in range(instances):
            made = {}
            for layer in range(layers):
                latents = np.tanh(shown @ np.random.default_rng([seed, 2, kind, layer]).standard_normal((12, 8)))
                read = np.random.default_rng([seed, 3, kind, layer, instance]).standard_normal((8, p))
                made[f"layer{layer}"] = np.maximum(latents @ read, 0.0).astype(np.float32)
            found.append(Known(f"kind{kind}", f"seed{instance}", made))
    return found


def _trials(n: int = 48, repeats: int = 4, v: int = 10, signal: float = 1.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, 4])
    mixing = rng.standard_normal((v, v)) / np.sqrt(v)
    return signal * rng.standard_normal((n, 1, v)) + rng.standard_normal((n, repeats, v)) @ mixing + rng.standard_normal(v)


@pytest.fixture(scope="session")
def models() -> Models:
    """Makes known models."""
    return _models


@pytest.fixture(scope="session")
def trials() -> Callable[..., np.ndarray]:
    """Makes trials (n, repeats, v)."""
    return _trials


@pytest.fixture
def noise() -> RegionNoise:
    """Of a region with signal."""
    return region_noise(_trials())
