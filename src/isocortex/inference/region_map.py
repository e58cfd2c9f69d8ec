"""How like each other regions are across subjects, and a map of them in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isocortex.similarity.comparators.table import comparator


@dataclass(frozen=True)
class RegionMap:
    """Mean RDM similarities (R, R) between subjects and within them, coordinates (R, 2), and the share that these show.

    `between` takes two regions from different subjects only. `within` takes both from one subject, whose trials, hence noise,
    they share: it is no measure of likeness, and its diagonal is missing.
    """

    between: np.ndarray
    within: np.ndarray
    coordinates: np.ndarray
    shown: float


def region_map(rdms: torch.Tensor, method: str = "rho_a") -> RegionMap:
    """From RDM vectors (S, R, N), S > 1; `method` as in `compare_rdms`. NaN for a region with an RDM without variance."""
    s, r = rdms.shape[:2]
    flat = rdms.reshape(s * r, -1).to(torch.float64)
    table = comparator(method).compare(flat, flat).reshape(s, r, s, r).cpu().numpy()
    own = np.einsum("sasb->ab", table)
    between = (table.sum(axis=(0, 2)) - own) / (s * (s - 1))
    within = own / s
    np.fill_diagonal(within, np.nan)
    coordinates, shown = classical_scaling(squared_distances(between))
    return RegionMap((between + between.T) / 2, within, coordinates, shown)


def squared_distances(between: np.ndarray) -> np.ndarray:
    """s_aa + s_bb − 2 s_ab: the squared distance of two regions' mean RDMs, free of what a subject's noise would add.

    As in a cross-validated distance no product is of one subject with itself, so that it may be negative.
    """
    own = np.diagonal(between)
    return own[:, None] + own[None, :] - 2.0 * between


def classical_scaling(squared: np.ndarray) -> tuple[np.ndarray, float]:
    """Coordinates (R, 2) of classical scaling (Torgerson 1952), and the share of the positive eigenvalues that they show.

    The first region with the largest coordinate along an axis is on its positive side. NaN where a distance is.
    """
    n = len(squared)
    if not np.isfinite(squared).all():
        return np.full((n, 2), np.nan), float("nan")
    centring = np.eye(n) - 1.0 / n
    values, vectors = np.linalg.eigh(-0.5 * centring @ squared @ centring)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    coordinates = np.zeros((n, 2))
    coordinates[:, : min(2, n)] = (vectors * np.sqrt(values))[:, :2]
    largest = np.abs(coordinates).argmax(axis=0)
    coordinates *= np.where(coordinates[largest, [0, 1]] < 0, -1.0, 1.0)
    return coordinates, float(values[:2].sum() / values.sum()) if values.sum() > 0 else float("nan")
