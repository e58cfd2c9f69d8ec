"""Weighted sums over the pairs of stimuli of many bootstrap draws: weights are made in blocks and meet all RDMs at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

# Pair weights of a block should stay in a CPU's cache while all products are summed; a GPU is filled by larger ones.
_BLOCK_BYTES = {"cpu": 2e6, "cuda": 5e8}
# A variance below this part of the mean square is rounding.
_ROUNDING = 1e-13


def _blocks(n: int, width: int) -> Iterator[tuple[range, slice]]:
    """Stimuli i, and the stretch of pairs (i, j > i) of them: at least `width` pairs, as far as there are."""
    start, first, end = 0, 0, 0
    for i in range(n - 1):
        end += n - 1 - i
        if end - start >= width or i == n - 2:
            yield range(first, i + 1), slice(start, end)
            first, start = i + 1, end


def weighted_sums(rows: Callable[[slice], torch.Tensor], counts: torch.Tensor) -> torch.Tensor:
    """Σ over pairs i < j of c_i c_j · rows, (K, D), for multiplicities (D, n); `rows` gives (K, P) for a stretch of pairs.

    Half of the products that cᵀ M c needs, and memory for one block of pairs only.
    """
    by_stimulus = counts.T.contiguous()
    n, d = by_stimulus.shape
    wanted = _BLOCK_BYTES.get(counts.device.type, 2e6) / (8 * max(d, 1))
    total = None
    buffer = counts.new_empty((int(wanted) + n, d))
    for stimuli, stretch in _blocks(n, max(int(wanted), 1)):
        at = 0
        for i in stimuli:
            size = n - 1 - i
            torch.mul(by_stimulus[i], by_stimulus[i + 1 :], out=buffer[at : at + size])
            at += size
        block = rows(stretch) @ buffer[:at]
        total = block if total is None else total.add_(block)
    return counts.new_zeros((0, d)) if total is None else total


@dataclass(frozen=True)
class Moments:
    """Sums over the pairs of draws: of brain RDMs `x` (D, S) and layers `y` (D, L), of their squares and products (D, S, L)."""

    pairs: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    xx: torch.Tensor
    yy: torch.Tensor
    xy: torch.Tensor

    def centred(self) -> Moments:
        """The same of RDMs less their weighted mean."""
        n = self.pairs[:, None]
        xx, yy = (_spread(power, total.square() / n) for power, total in ((self.xx, self.x), (self.yy, self.y)))
        xy = self.xy - self.x[:, :, None] * self.y[:, None, :] / n[:, :, None]
        return Moments(self.pairs, torch.zeros_like(self.x), torch.zeros_like(self.y), xx, yy, xy)


def _spread(power: torch.Tensor, of_mean: torch.Tensor) -> torch.Tensor:
    """A sum of squares less that of the mean; zero where only rounding is left, because an RDM that is constant has none."""
    rest = power - of_mean
    return torch.where(rest > _ROUNDING * power, rest, 0.0)


def moments(brain: torch.Tensor, layers: torch.Tensor, counts: torch.Tensor) -> Moments:
    """All sums that linear comparators need, for brain RDMs (S, N), layers (L, N) and multiplicities (D, n), in float64."""
    s, n_layers = len(brain), len(layers)

    def rows(part: slice) -> torch.Tensor:
        x, y = brain[:, part], layers[:, part]
        products = (x[:, None] * y[None]).reshape(s * n_layers, -1)
        return torch.cat([x, y, x.square(), y.square(), products])

    sums = weighted_sums(rows, counts).T
    x, y, xx, yy, xy = sums.split([s, n_layers, s, n_layers, s * n_layers], dim=1)
    pairs = 0.5 * (counts.sum(1).square() - counts.square().sum(1))
    return Moments(pairs, x, y, xx, yy, xy.reshape(-1, s, n_layers))


def own_moments(brain: torch.Tensor, counts: torch.Tensor) -> Moments:
    """As `moments` of brain RDMs (S, N) with themselves, every product taken once."""
    s = len(brain)
    first, second = torch.triu_indices(s, s, device=brain.device)

    def rows(part: slice) -> torch.Tensor:
        x = brain[:, part]
        return torch.cat([x, x.index_select(0, first) * x.index_select(0, second)])

    sums = weighted_sums(rows, counts).T
    xy = sums.new_empty((len(counts), s, s))
    xy[:, first, second] = xy[:, second, first] = sums[:, s:]
    xx = xy.diagonal(dim1=1, dim2=2)
    pairs = 0.5 * (counts.sum(1).square() - counts.square().sum(1))
    return Moments(pairs, sums[:, :s], sums[:, :s], xx, xx, xy)
