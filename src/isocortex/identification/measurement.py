"""MEASUREMENTS: what a region's neuroids see of a network's units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isocortex.errors import DataError

Measure = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
# Units that a voxel pools: this part of the layer, within these bounds.
_SHARE, _LEAST, _MOST = 0.1, 4, 64
# Where a neuroid's response sets in, in standard deviations about its mean.
_THRESHOLDS = (-1.0, 0.5)
# Spread over size below which a unit is constant: above the rounding of float32 activations.
_CONSTANT = 1e-6


def standardised(x: np.ndarray) -> np.ndarray:
    """Columns of (n, p) with mean 0 and variance 1; of zeros where a column is constant."""
    centred = x - x.mean(axis=0)
    spread = centred.std(axis=0)
    varies = spread > _CONSTANT * np.abs(x).max(axis=0)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=varies)


def _varying(layer: np.ndarray) -> np.ndarray:
    x = np.asarray(layer, dtype=np.float64)
    varies = standardised(x).any(axis=0)
    if not varies.any():
        raise DataError("identification: found a layer whose units are all constant, expected one that varies; leave it out")
    return x[:, varies]


def units(layer: np.ndarray, v: int, rng: np.random.Generator) -> np.ndarray:
    """Single units (n, v) of those that vary in `layer` (n, p), each once, or again where there are fewer than v."""
    x = _varying(layer)
    p = x.shape[1]
    rounds = [rng.permutation(p) for _ in range(-(-v // p))]
    return x[:, np.concatenate(rounds)[:v]]


def voxels(layer: np.ndarray, v: int, rng: np.random.Generator) -> np.ndarray:
    """Sums (n, v) of random tenths of the units of `layer` (n, p), with exponential weights: none of them negative."""
    x = _varying(layer)
    p = x.shape[1]
    size = min(p, int(np.clip(round(_SHARE * p), _LEAST, _MOST)))
    weights = np.zeros((p, v))
    for column in range(v):
        weights[rng.choice(p, size, replace=False), column] = rng.exponential(size=size)
    return x @ weights


def nonlinear(layer: np.ndarray, v: int, rng: np.random.Generator) -> np.ndarray:
    """Pooled units, of which the square of what exceeds a random threshold is seen (n, v)."""
    pooled = standardised(voxels(layer, v, rng))
    return np.square(np.maximum(pooled - rng.uniform(*_THRESHOLDS, size=v), 0.0))


MEASUREMENTS: dict[str, Measure] = {"units": units, "voxels": voxels, "nonlinear": nonlinear}
