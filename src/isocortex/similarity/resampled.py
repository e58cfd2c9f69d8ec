"""RDM comparisons of many resamples and permutations of stimuli at once, for all subjects × layers.

A bootstrap of stimuli drops pairs of a stimulus with itself, so that a pair's weight is the product of two multiplicities and
the whole bootstrap is a weighted comparison of RDMs that never change (Schütt et al. 2023; the weights are exact, see tests).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.similarity.ranks import WeightedRanks
from isocortex.similarity.rdm import to_square, to_vector
from isocortex.similarity.rsa import comparator, tau_table

# Working sets of about this many bytes stay in a CPU's cache; a GPU is filled by larger ones.
_BLOCK_BYTES = {"cpu": 4e6, "cuda": 5e8}
_GATHER_BYTES = {"cpu": 6.4e7, "cuda": 1e9}


def _blocks(n: int, bytes_per_item: float, device: torch.device) -> Iterator[slice]:
    return batches(n, bytes_per_item, _BLOCK_BYTES.get(device.type, 4e6))


def weighted_scores(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, method: str) -> torch.Tensor:
    """Comparisons (D, S, L) of brain RDMs (S, N) with layer RDMs (L, N) in draws with multiplicities `counts` (D, n).

    Equal to comparing RDMs of the repeated stimuli without the pairs of a stimulus with itself. NaN for draws with fewer than
    three different stimuli.
    """
    chosen = comparator(method)
    counts = counts.to(device=brain.device, dtype=torch.float64)
    if chosen.prepare is None:
        scores = _weighted_tau(brain, layers, counts)
    elif chosen.ranks:
        scores = _weighted_rank(brain, layers, counts, unit=method == "spearman")
    else:
        scores = _weighted_moment(brain, layers, counts, centre=method == "pearson")
    few = (counts > 0).sum(1) < 3
    return torch.where(few[:, None, None], torch.nan, scores)


def _weighted_moment(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, *, centre: bool) -> torch.Tensor:
    """Pearson or cosine: with pair weights c_i c_j, every weighted sum over pairs of M is ½ cᵀ M c."""
    if centre:  # a shift of an RDM changes no correlation and keeps the digits
        brain, layers = brain - brain.mean(-1, keepdim=True), layers - layers.mean(-1, keepdim=True)

    def total(vector: torch.Tensor) -> torch.Tensor:
        return 0.5 * ((counts @ to_square(vector)) * counts).sum(1)

    def totals(rows: torch.Tensor) -> torch.Tensor:
        return torch.stack([total(row) for row in rows], dim=1)

    pairs = 0.5 * (counts.sum(1).square() - counts.square().sum(1))[:, None]
    xx, yy = totals(brain.square()), totals(layers.square())
    xy = torch.stack([totals(row * layers) for row in brain], dim=1)
    if centre:
        sx, sy = totals(brain), totals(layers)
        xx, yy = xx - sx.square() / pairs, yy - sy.square() / pairs
        xy = xy - sx[:, :, None] * sy[:, None, :] / pairs[:, :, None]
    norm = (xx[:, :, None] * yy[:, None, :]).clamp_min(0.0).sqrt()
    return xy / torch.where(norm > 0, norm, torch.nan)


def _weighted_rank(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, *, unit: bool) -> torch.Tensor:
    """Spearman (`unit`) or rho-a: mid-ranks among the copies of each draw from sorted cumulative weights."""
    n = counts.shape[1]
    first, second = torch.triu_indices(n, n, 1, device=brain.device)
    rank_brain, rank_layers = [WeightedRanks(row) for row in brain], [WeightedRanks(row) for row in layers]
    scores = torch.empty((len(counts), len(brain), len(layers)), dtype=torch.float64, device=brain.device)
    width = 8.0 * brain.shape[1] * (len(brain) + len(layers) + 3)
    for block in _blocks(len(counts), width, brain.device):
        c = counts[block]
        weights = c.index_select(1, first) * c.index_select(1, second)
        total = weights.sum(1)
        middle = (total[:, None] + 1.0) / 2.0
        x = torch.stack([ranks(weights).sub_(middle) for ranks in rank_brain], dim=1)
        y = torch.stack([ranks(weights).sub_(middle) for ranks in rank_layers], dim=1)
        wx = x * weights[:, None]
        products = wx @ y.mT
        if unit:
            xx = (wx * x).sum(-1)
            yy = (weights[:, None] @ y.square().mT)[:, 0]
            norm = (xx[:, :, None] * yy[:, None, :]).sqrt()
        else:
            norm = ((total**3 - total) / 12.0)[:, None, None]
        scores[block] = products / torch.where(norm > 0, norm, torch.nan)
    return scores


def _weighted_tau(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """tau-a, on entries repeated by their weights."""
    x, y = brain.cpu().numpy(), layers.cpu().numpy()
    drawn = counts.cpu().numpy().astype(np.int64)
    first, second = np.triu_indices(drawn.shape[1], 1)
    scores = np.full((len(drawn), len(x), len(y)), np.nan)
    for k, c in enumerate(drawn):
        copies = np.repeat(np.arange(len(first)), c[first] * c[second])
        if len(copies) > 2:
            scores[k] = tau_table(x[:, copies], y[:, copies])
    return torch.as_tensor(scores, device=brain.device)


def permuted_scores(
    brain: torch.Tensor, layers: torch.Tensor, moves: tuple[torch.Tensor, torch.Tensor], method: str
) -> torch.Tensor:
    """Comparisons (A·B, S, L) of brain RDMs (S, N) with layer RDMs (L, N), the stimuli of both permuted.

    `moves` are permutations (A, n) of the layers' stimuli and (B, n) of the brain's; every one of the first is crossed with
    every one of the second. A permutation of stimuli permutes the entries of an RDM, hence of its ranks and of its prepared
    vector: nothing is ranked anew, and A·B permutations cost A + B gathers and one matrix product. For random `moves` the
    A·B relative permutations are uniform and independent in pairs, so that the error of p is that of independent ones.
    """
    chosen = comparator(method)
    if chosen.prepare is None:
        return _permuted_tau(brain, layers, moves)
    x, y = chosen.prepare(brain), chosen.prepare(layers)
    products = permuted_products([y, x], [moves[0], moves[1]])  # (L, A, S, B)
    return products.permute(1, 3, 2, 0).reshape(-1, len(x), len(y))


def _permuted_tau(brain: torch.Tensor, layers: torch.Tensor, moves: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    x, y = brain.cpu(), layers.cpu()
    still = [_permuted(x, p).numpy() for p in moves[1].cpu()]
    tables = [tau_table(b, _permuted(y, p).numpy()) for p in moves[0].cpu() for b in still]
    return torch.as_tensor(np.array(tables, dtype=np.float64).reshape(-1, len(x), len(y)), device=brain.device)


def _permuted(vectors: torch.Tensor, permutation: torch.Tensor) -> torch.Tensor:
    return to_vector(to_square(vectors)[:, permutation][:, :, permutation])


def permuted_products(rows: list[torch.Tensor], moves: list[torch.Tensor]) -> torch.Tensor:
    """Inner products (R, A, S, B) of `rows` (R, N), stimuli permuted by moves[0] (A, n), with (S, N), by moves[1] (B, n).

    Works through the pairs of stimuli in blocks, so that memory does not grow with them.
    """
    device = rows[0].device
    moves = [m.to(device) for m in moves]
    n = moves[0].shape[1]
    first, second = torch.triu_indices(n, n, 1, device=device)
    flat = [to_square(r).reshape(len(r), n * n) for r in rows]
    shape = [(len(r), len(m)) for r, m in zip(rows, moves, strict=True)]
    result = rows[0].new_zeros((shape[0][0] * shape[0][1], shape[1][0] * shape[1][1]))
    width = 16.0 * (result.shape[0] + result.shape[1])
    for block in batches(len(first), width, _GATHER_BYTES.get(device.type, 6.4e7)):
        sides = []
        for values, order in zip(flat, moves, strict=True):
            index = order.index_select(1, first[block]) * n + order.index_select(1, second[block])
            sides.append(torch.stack([torch.take(row, index) for row in values]).reshape(-1, index.shape[1]))
        result.addmm_(sides[0], sides[1].T)
    return result.reshape(*shape[0], *shape[1])
