"""RDM comparisons of many resamples and permutations of stimuli at once, for all subjects × layers."""

from __future__ import annotations

from functools import partial

import torch

from isocortex.compute import batches
from isocortex.similarity.comparators import drawn_ceilings
from isocortex.similarity.comparators.compare import pooled
from isocortex.similarity.comparators.table import Comparator, Weigh, comparator
from isocortex.similarity.rdm.vectors import to_square, to_vector

_GATHER_BYTES = {"cpu": 6.4e7, "cuda": 1e9}


def weighted_scores(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor, method: str | Comparator) -> torch.Tensor:
    """Comparisons (D, S, L) of brain RDMs (S, N) with layer RDMs (L, N) in draws with multiplicities `counts` (D, n).

    Equal to comparing RDMs of the repeated stimuli without the pairs of a stimulus with itself. NaN for draws with fewer than
    three different stimuli and for RDMs with missing pairs. Raises ValueError for a comparator that has no weighted form.
    """
    _, weigh = _weighted(method)
    counts = counts.to(device=brain.device, dtype=torch.float64)
    scores = weigh(torch.nan_to_num(brain), torch.nan_to_num(layers), counts)
    few = (counts > 0).sum(1) < 3
    missing = _incomplete(brain)[:, None] | _incomplete(layers)
    return torch.where(few[:, None, None] | missing, torch.nan, scores)


def weighted_ceilings(
    brain: torch.Tensor, counts: torch.Tensor, subject_counts: torch.Tensor, method: str | Comparator
) -> torch.Tensor:
    """Lower and upper noise ceilings (…, D, 2) of brain RDMs (S, N) in draws of stimuli (D, n) and of subjects (…, D, S).

    Every draw pools the subjects drawn, as the comparator needs, and scores the pool on each different one of them: without it
    (low; NaN where it is alone) and with it (high). One row (1, n) of stimuli serves all draws of subjects, and stacked draws
    of subjects share the work on stimuli. NaN for draws with fewer than three different stimuli and for RDMs with missing
    pairs. As rsatoolbox's boot_noise_ceiling in its bootstraps (Nili et al. 2014; Schütt et al. 2023). Raises ValueError for a
    comparator that has no weighted form.
    """
    chosen, _ = _weighted(method)
    counts = counts.to(device=brain.device, dtype=torch.float64)
    who = subject_counts.to(device=brain.device, dtype=torch.float64)
    ceil = chosen.ceil or partial(_ceilings_of_copies, chosen)
    stacked = who.reshape(-1, *who.shape[-2:])
    found = ceil(torch.nan_to_num(brain), counts, stacked).reshape(*who.shape[:-1], 2)
    missing = (who[..., _incomplete(brain)] > 0).any(-1)
    few = (counts > 0).sum(1) < 3
    return torch.where((few | missing)[..., None], torch.nan, found)


def _ceilings_of_copies(chosen: Comparator, brain: torch.Tensor, counts: torch.Tensor, who: torch.Tensor) -> torch.Tensor:
    """As in `drawn_ceilings`, for any comparator: every draw's entries are repeated, transformed, pooled and compared."""
    n = counts.shape[1]
    first, second = torch.triu_indices(n, n, 1, device=counts.device)
    bare = comparator(chosen.base) if chosen.transform is not None else chosen
    values = brain.new_full((*who.shape, 2), torch.nan)
    for d in range(who.shape[1]):
        c = counts[d if len(counts) > 1 else 0]
        copies = torch.repeat_interleave((c[first] * c[second]).long())
        if len(copies) < 3:
            continue
        rows = brain[:, copies] if chosen.transform is None else chosen.transform(brain[:, copies])
        for q, s in (who[:, d] > 0).nonzero().tolist():
            times = who[q, d].long()
            others = times.clone()
            others[s] = 0
            for k, part in enumerate((others, times)):
                if int(part.sum()):
                    pool = pooled(rows.repeat_interleave(part, dim=0), bare.pool)
                    values[q, d, s, k] = bare.compare(pool[None], rows[s : s + 1])[0, 0]
    return drawn_ceilings.mean_of_drawn(values, who)


def _weighted(method: str | Comparator) -> tuple[Comparator, Weigh]:
    chosen = comparator(method)
    if chosen.weigh is None:
        raise ValueError(f"RSA: comparator {chosen.name!r} has no weighted form; take subsamples of stimuli")
    return chosen, chosen.weigh


def _incomplete(rdms: torch.Tensor) -> torch.Tensor:
    return ~torch.isfinite(rdms).all(1)


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
