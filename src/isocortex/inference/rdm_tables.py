"""Comparisons of RDMs as a table: every comparator, and several variants of one beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from isocortex.compute import batches
from isocortex.inference.nulls import PERMUTATIONS
from isocortex.inference.tables import DRAWS
from isocortex.similarity.comparators import Comparator
from isocortex.similarity.comparators.ranks import average_ranks
from isocortex.similarity.comparators.resampled import permuted_scores, weighted_scores
from isocortex.similarity.rdm import n_stimuli, to_square, to_vector

# Pairs × RDMs (products, where there is no inner product) that draws, halves of draws and permutations may touch: seconds.
_DRAWN = 5e8
_PERMUTED = 1e10
_PRODUCTS = 4e7
_FEWEST = {"draws": 100, "dear_draws": 20, "permutations": 400, "dear_permutations": 99}
_BLOCK_BYTES = {"cpu": 3e7, "cuda": 1e9}
# Splits of every permutation for comparators of a half that are no sums over its pairs.
_DEAR_SPLITS = 2
_SUMMED = frozenset({"pearson", "cosine", "spearman", "rho_a"})


@dataclass(frozen=True)
class RdmTable:
    """Brain RDMs (S, N) with layer RDMs (L, N) by `comparators` (V): candidate v·L + l is layer l by comparator v."""

    brain: torch.Tensor
    layers: torch.Tensor
    comparators: tuple[Comparator, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """n stimuli, S subjects, C = V·L candidates."""
        return n_stimuli(self.brain.shape[1]), len(self.brain), len(self.layers) * len(self.comparators)

    @property
    def higher_is_closer(self) -> bool:
        """Comparators of RDMs are similarities."""
        return True

    @property
    def resample(self) -> str:
        """Pair weights where every comparator has them."""
        return "pair_weights" if all(c.weigh is not None for c in self.comparators) else "subsample"

    @property
    def cost(self) -> str:
        """The dearest of the comparators'."""
        return max((c.cost for c in self.comparators), key=list(PERMUTATIONS).index)

    @property
    def permuting(self) -> str:
        """A permutation costs what a draw does."""
        return self.cost

    @property
    def rewired(self) -> bool:
        """Stimuli are permuted."""
        return False

    @cached_property
    def _summed(self) -> bool:
        """Whether a half's comparison is made of sums over its pairs of stimuli."""
        return all(c.transform is not None or c.name in _SUMMED for c in self.comparators)

    @cached_property
    def _dear(self) -> bool:
        return any(c.prepare is None for c in self.comparators)

    def scores(self) -> np.ndarray:
        """All scores (S, C)."""
        return torch.cat([c.compare(self.brain, self.layers) for c in self.comparators], dim=1).cpu().numpy()

    def permuted(self, moves: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Scores (A·B, S, C) under permutations of stimuli."""
        orders = (torch.as_tensor(moves[0]), torch.as_tensor(moves[1]))
        tables = [permuted_scores(self.brain, self.layers, orders, c) for c in self.comparators]
        return torch.cat(tables, dim=2).cpu().numpy()

    def drawn(self, counts: np.ndarray) -> np.ndarray:
        """Scores (D, S, C), pairs of a stimulus with itself dropped; without pair weights on a draw's different stimuli."""
        weights = torch.as_tensor(counts)
        if self.resample == "pair_weights":
            tables = [weighted_scores(self.brain, self.layers, weights, c) for c in self.comparators]
            return torch.cat(tables, dim=2).cpu().numpy()
        missing = np.full(self.shape[1:], np.nan)
        rows = [np.flatnonzero(c) for c in np.asarray(counts)]
        return np.array([self.part(r).scores() if len(r) >= 3 else missing for r in rows]).reshape(-1, *self.shape[1:])

    def part(self, rows: np.ndarray) -> RdmTable:
        """The same comparison on some of the stimuli."""
        index = torch.as_tensor(rows, device=self.brain.device)
        brain, layers = (to_vector(to_square(v)[:, index][:, :, index]) for v in (self.brain, self.layers))
        return RdmTable(brain, layers, self.comparators)

    def halves(self, masks: np.ndarray, orders: np.ndarray) -> np.ndarray:
        """Scores (2, P, K, C) of the first subject in both halves of every split (K = 2 where a half is no sum over its pairs).

        Ranks and transforms are those among all pairs, not made again within a half, so that a permutation needs only sums:
        the statistic differs from the score in the third digit, and is the same for the observed order and permuted ones.
        """
        if not self._summed:
            return self._halves_one_by_one(masks[:_DEAR_SPLITS], orders)
        parts = [_moment_halves(self.brain[0], self.layers, masks, orders, c) for c in self.comparators]
        return np.concatenate(parts, axis=3)

    def _halves_one_by_one(self, masks: np.ndarray, orders: np.ndarray) -> np.ndarray:
        square = to_square(self.layers)
        result = np.empty((2, len(orders), len(masks), self.shape[2]))
        for p, order in enumerate(torch.as_tensor(orders, device=self.layers.device)):
            moved = RdmTable(self.brain[:1], to_vector(square[:, order][:, :, order]), self.comparators)
            for k, mask in enumerate(masks):
                for side, keep in enumerate((mask, ~mask)):
                    result[side, p, k] = moved.part(np.flatnonzero(keep)).scores()[0]
        return result

    def most_draws(self) -> int:
        """By the entries that are touched, so that large RDMs do not take hours."""
        pairs, (_, s, c) = self.brain.shape[1], self.shape
        if self._dear:
            return int(max(_PRODUCTS / (pairs * s * c), _FEWEST["dear_draws"]))
        cheap = int(max(_DRAWN / (pairs * (s + len(self.layers)) * len(self.comparators)), _FEWEST["draws"]))
        return min(cheap, DRAWS[self.cost])

    def most_permutations(self, times: int = 1) -> int:
        """By the comparators' cost and the products that are made."""
        products = self.brain.shape[1] * self.shape[1] * self.shape[2] * times
        limit, fewest = (_PRODUCTS, "dear_permutations") if self._dear else (_PERMUTED, "permutations")
        return min(PERMUTATIONS[self.cost], int(max(limit / products, _FEWEST[fewest])))


def _standard(v: torch.Tensor, comparator: Comparator) -> torch.Tensor:
    """Rows of unit variance (unit mean square, where the comparator does not centre) among all pairs."""
    if comparator.transform is not None:
        v = comparator.transform(v)
    elif comparator.ranks:
        v = average_ranks(v)
    v = v - v.mean(-1, keepdim=True) if centres(comparator) else v
    return v / v.square().mean(-1, keepdim=True).sqrt().clamp_min(torch.finfo(v.dtype).tiny)


def centres(comparator: Comparator) -> bool:
    """Whether the mean of an RDM is taken out before it is compared."""
    return comparator.pool != "rms"


def _moment_halves(
    brain: torch.Tensor, rdms: torch.Tensor, masks: np.ndarray, orders: np.ndarray, comparator: Comparator
) -> np.ndarray:
    """All splits, halves, layers and permutations by three matrix products per block of permutations: (2, P, K, L)."""
    device, n, n_layers = brain.device, masks.shape[1], len(rdms)
    first, second = torch.triu_indices(n, n, 1, device=device)
    halves = torch.as_tensor(np.vstack([masks, ~masks]), device=device, dtype=torch.float64)
    inside = halves.index_select(1, first) * halves.index_select(1, second)
    x, square = _standard(brain, comparator), to_square(_standard(rdms, comparator)).reshape(n_layers, n * n)
    pairs = inside.sum(1)
    centre = 1.0 if centres(comparator) else 0.0
    sum_x = inside @ x
    power_x = inside @ x.square() - centre * sum_x.square() / pairs
    masked = inside * x
    values = np.empty((2, len(orders), len(masks), n_layers))
    moves = torch.as_tensor(orders, device=device)
    for part in batches(len(orders), 24.0 * len(x) * n_layers, _BLOCK_BYTES.get(device.type, 3e7)):
        order = moves[part]
        index = order.index_select(1, first) * n + order.index_select(1, second)
        y = torch.stack([torch.take(row, index) for row in square], dim=1).reshape(-1, len(x))
        sum_y = y @ inside.T
        product = y @ masked.T - centre * sum_x * sum_y / pairs
        power = power_x * (y.square() @ inside.T - centre * sum_y.square() / pairs)
        r = product / torch.where(power > 0, power, torch.nan).sqrt()
        values[:, part] = r.reshape(len(order), n_layers, 2, len(masks)).permute(2, 0, 3, 1).cpu().numpy()
    return values
