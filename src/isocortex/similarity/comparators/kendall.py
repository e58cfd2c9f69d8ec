"""Kendall's tau-a between RDM vectors."""

from __future__ import annotations

import numpy as np
import torch


def _tied_pairs(x: np.ndarray) -> int:
    counts = np.unique(x, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())


def tau_a(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-a, (concordant − discordant) / (N(N − 1)/2), of two vectors, in O(N log N).

    Taken from SciPy's tau-b, whose denominator √((T − T_x)(T − T_y)) counts out the pairs tied in x and in y.
    """
    total = len(x) * (len(x) - 1) // 2
    free_x, free_y = total - _tied_pairs(x), total - _tied_pairs(y)
    if total == 0:
        return float("nan")
    if free_x == 0 or free_y == 0:
        return 0.0
    from scipy.stats import kendalltau  # half a second to import, and only tau-a needs it

    tau_b = float(np.asarray(kendalltau(x, y, method="asymptotic"))[0])
    return tau_b * float(np.sqrt(free_x / total) * np.sqrt(free_y / total))


def tau_table(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Kendall's tau-a of every row of `a` (A, N) with every row of `b` (B, N)."""
    return np.array([[tau_a(x, y) for y in b] for x in a], dtype=np.float64).reshape(len(a), len(b))


def tau_a_table(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Kendall's tau-a (A, B) of RDM vectors (A, N) and (B, N); on the CPU, whatever their device."""
    return torch.as_tensor(tau_table(a.cpu().numpy(), b.cpu().numpy()), device=a.device)
