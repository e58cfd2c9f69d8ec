"""How like each other regions are across subjects, and a map of them in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from isocortex.similarity.comparators.table import comparator
from isocortex.similarity.scaling import classical_scaling


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
    coordinates, shares = classical_scaling(squared_distances(between))
    return RegionMap((between + between.T) / 2, within, coordinates, float(shares.sum()))


def squared_distances(between: np.ndarray) -> np.ndarray:
    """s_aa + s_bb − 2 s_ab: the squared distance of two regions' mean RDMs, free of what a subject's noise would add.

    As in a cross-validated distance no product is of one subject with itself, so that it may be negative.
    """
    own = np.diagonal(between)
    return own[:, None] + own[None, :] - 2.0 * between
