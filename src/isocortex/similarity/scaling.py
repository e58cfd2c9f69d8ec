"""Classical scaling: places whose distances are those given, as nearly as a few axes allow."""

from __future__ import annotations

import numpy as np

# An eigenvalue below this part of the largest is rounding: there is no such axis.
_ROUNDING = 1e-12


def classical_scaling(squared: np.ndarray, dims: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (n, dims) of classical scaling (Torgerson 1952) of squared distances (n, n), and the share (dims,) that each
    axis shows of the positive eigenvalues.

    The first item with the largest coordinate along an axis, but for rounding, is on its positive side. Zeros along axes that
    are not there. NaN where a distance is; shares are NaN where all distances are zero.
    """
    n = len(squared)
    if not np.isfinite(squared).all():
        return np.full((n, dims), np.nan), np.full(dims, np.nan)
    moved = squared - squared.mean(axis=0)
    values, vectors = np.linalg.eigh(-0.5 * (moved - moved.mean(axis=1, keepdims=True)))
    values, vectors = values[::-1], vectors[:, ::-1]
    values = np.where(values > _ROUNDING * np.abs(values).max(), values, 0.0)
    coordinates, shares = np.zeros((n, dims)), np.zeros(dims)
    there = min(dims, n)
    coordinates[:, :there] = (vectors * np.sqrt(values))[:, :there]
    sizes = np.abs(coordinates)
    largest = (sizes >= sizes.max(axis=0) * (1 - 1e-9)).argmax(axis=0)
    coordinates *= np.where(coordinates[largest, np.arange(dims)] < 0, -1.0, 1.0)
    shares[:there] = values[:there]
    return coordinates, shares / values.sum() if values.sum() > 0 else np.full(dims, np.nan)
