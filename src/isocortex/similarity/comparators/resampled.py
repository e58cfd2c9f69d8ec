"""RDM comparisons of many resamples and permutations of stimuli at once, for all subjects × layers."""

from __future__ import annotations

import torch

from isocortex.compute import batches
from isocortex.similarity.comparators.table import Comparator, comparator
from isocortex.similarity.rdm.vectors import to_square, to_vector

_GATHER_BYTES = {"cpu": 6.4e7, "cuda": 1e9}


def weighted_scores(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, method: str | Comparator) -> torch.Tensor:
    """Comparisons (D, S, L) of brain RDMs (S, N) with layer RDMs (L, N) in draws with multiplicities `counts` (D, n).

    Equal to comparing RDMs of the repeated stimuli without the pairs of a stimulus with itself. NaN for draws with fewer than
    three different stimuli. Raises ValueError for a comparator that has no weighted form.
    """
    chosen = comparator(method)
    if chosen.weigh is None:
        raise ValueError(f"RSA: comparator {chosen.name!r} has no weighted form; take subsamples of stimuli")
    counts = counts.to(device=brain.device, dtype=torch.float64)
    scores = chosen.weigh(brain, layers, counts)
    few = (counts > 0).sum(1) < 3
    return torch.where(few[:, None, None], torch.nan, scores)


def permuted_scores(
    brain: torch.Tensor, layers: torch.Tensor, moves: tuple[torch.Tensor, torch.Tensor], method: str | Comparator
) -> torch.Tensor:
    """Comparisons (A·B, S, L) of brain RDMs (S, N) with layer RDMs (L, N), the stimuli of both permuted.

    `moves` are permutations (A, n) of the layers' stimuli and (B, n) of the brain's; every one of the first is crossed with
    every one of the second. A permutation of stimuli permutes the entries of an RDM, hence of its ranks and of its prepared
    vector: nothing is ranked anew, and A·B permutations cost A + B gathers and one matrix product. For random `moves` the
    A·B relative permutations are uniform and independent in pairs, so that the error of p is that of independent ones.
    """
    chosen = comparator(method)
    if chosen.prepare is None:
        return _permuted_tables(brain, layers, moves, chosen)
    x, y = chosen.prepare(brain), chosen.prepare(layers)
    products = permuted_products([y, x], [moves[0], moves[1]])  # (L, A, S, B)
    return products.permute(1, 3, 2, 0).reshape(-1, len(x), len(y))


def _permuted_tables(
    brain: torch.Tensor, layers: torch.Tensor, moves: tuple[torch.Tensor, torch.Tensor], chosen: Comparator
) -> torch.Tensor:
    still = [_permuted(brain, p) for p in moves[1]]
    tables = [chosen.compare(b, moved) for moved in (_permuted(layers, p) for p in moves[0]) for b in still]
    return torch.stack(tables) if tables else brain.new_empty((0, len(brain), len(layers)))


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
