"""One subject's score with layers chosen on one half of the stimuli and scored on the other, its draws and its null."""

from __future__ import annotations

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.inference import layers
from isocortex.similarity.comparators import comparator
from isocortex.similarity.comparators.ranks import average_ranks
from isocortex.similarity.comparators.resampled import weighted_scores
from isocortex.similarity.rdm import to_square, to_vector

_BLOCK_BYTES = {"cpu": 3e7, "cuda": 1e9}
# tau-a is too slow for all splits of every permutation.
_TAU_SPLITS = 2


def cross_fit(
    brain: torch.Tensor, rdms: torch.Tensor, counts: torch.Tensor, masks: np.ndarray, which: np.ndarray, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """Cross-fitted score (D,) of a brain RDM (N,) and layers (L, N) in draws (D, n), and the share of choices per layer (L,).

    `masks` (K, n) are halves of the stimuli; draw d uses the splits which[d] (m of K), in both directions, and their mean.
    """
    n_layers = len(rdms)
    values = np.full(which.shape, np.nan)
    votes = np.zeros(n_layers)
    square = to_square(torch.cat([brain[None], rdms]))
    for split in np.unique(which):
        rows, columns = np.nonzero(which == split)
        scores = []
        for keep in (masks[split], ~masks[split]):
            kept = torch.as_tensor(np.flatnonzero(keep), device=square.device)
            part = to_vector(square[:, kept][:, :, kept])
            c = counts[torch.as_tensor(rows)][:, kept.cpu()]
            scores.append(weighted_scores(part[:1], part[1:], c, method).cpu().numpy()[:, 0])
        values[rows, columns], chosen = layers.across_halves(*scores)
        votes += np.bincount(chosen.ravel(), minlength=n_layers)
    present = np.isfinite(values)
    mean = np.where(present, values, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return np.where(present.any(axis=1), mean, np.nan), votes / max(votes.sum(), 1.0)


def cross_fit_null(
    brain: torch.Tensor, rdms: torch.Tensor, masks: np.ndarray, orders: np.ndarray, method: str
) -> tuple[float, np.ndarray]:
    """The statistic tested for a cross-fitted score, and its values (P,) with the layers' stimuli in `orders` (P, n).

    The layer is chosen anew under every permutation: with choices fixed, 8 to 9 % of pure noise is significant at 5 %. Ranks
    are those among all pairs, not ranked again within a half, so that a permutation needs only sums: the statistic differs
    from the score in the third digit, and is the same for the observed order and the permuted ones.
    """
    everything = np.vstack([np.arange(masks.shape[1])[None], orders])
    if comparator(method).prepare is None:
        values = _tau_values(brain, rdms, masks[:_TAU_SPLITS], everything, method)
    else:
        values = _moment_values(brain, rdms, masks, everything, method)
    return float(values[0]), values[1:]


def _tau_values(brain: torch.Tensor, rdms: torch.Tensor, masks: np.ndarray, orders: np.ndarray, method: str) -> np.ndarray:
    square = to_square(rdms)
    once = torch.ones((1, masks.shape[1]), dtype=torch.int64)
    which = np.arange(len(masks))[None]
    moved = (to_vector(square[:, p][:, :, p]) for p in (torch.as_tensor(o, device=rdms.device) for o in orders))
    return np.array([cross_fit(brain, m, once, masks, which, method)[0][0] for m in moved])


def _standard(v: torch.Tensor, method: str) -> torch.Tensor:
    v = average_ranks(v) if comparator(method).ranks else v
    v = v - v.mean(-1, keepdim=True) if method != "cosine" else v
    return v / v.square().mean(-1, keepdim=True).sqrt().clamp_min(torch.finfo(v.dtype).tiny)


def _moment_values(brain: torch.Tensor, rdms: torch.Tensor, masks: np.ndarray, orders: np.ndarray, method: str) -> np.ndarray:
    """All splits, halves, layers and permutations by three matrix products per block of permutations."""
    device, n, n_layers = brain.device, masks.shape[1], len(rdms)
    first, second = torch.triu_indices(n, n, 1, device=device)
    halves = torch.as_tensor(np.vstack([masks, ~masks]), device=device, dtype=torch.float64)
    inside = halves.index_select(1, first) * halves.index_select(1, second)
    x, square = _standard(brain, method), to_square(_standard(rdms, method)).reshape(n_layers, n * n)
    pairs = inside.sum(1)
    centre = 0.0 if method == "cosine" else 1.0
    sum_x = inside @ x
    power_x = inside @ x.square() - centre * sum_x.square() / pairs
    masked = inside * x
    values = np.empty(len(orders))
    moves = torch.as_tensor(orders, device=device)
    for part in batches(len(orders), 24.0 * len(x) * n_layers, _BLOCK_BYTES.get(device.type, 3e7)):
        order = moves[part]
        index = order.index_select(1, first) * n + order.index_select(1, second)
        y = torch.stack([torch.take(row, index) for row in square], dim=1).reshape(-1, len(x))
        sum_y = y @ inside.T
        product = y @ masked.T - centre * sum_x * sum_y / pairs
        power = power_x * (y.square() @ inside.T - centre * sum_y.square() / pairs)
        r = product / torch.where(power > 0, power, torch.nan).sqrt()
        table = r.reshape(len(order), n_layers, 2, len(masks)).permute(2, 0, 3, 1).cpu().numpy()
        values[part] = layers.across_halves(table[0], table[1])[0].mean(axis=1)
    return values
