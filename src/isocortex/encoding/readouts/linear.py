"""Fully linear readout: ridge on flattened maps in closed form, one penalty per neuroid.

Maps have more pixels than there are stimuli, so the problem is solved in the kernel (n × n), added up from blocks of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from isocortex.compute import batches, like_input
from isocortex.encoding.decomposition import basis_of_kernel
from isocortex.encoding.penalties import CONSTANT, Fold, alpha_grid, predict, select, sweep
from isocortex.encoding.precision import work_dtype
from isocortex.encoding.readouts.fields import Fields, fields_of_masks
from isocortex.encoding.readouts.maps import Maps, as_maps
from isocortex.encoding.readouts.options import checked
from isocortex.encoding.readouts.prepared import Responses, responses_of, rows_of
from isocortex.encoding.readouts.start import lengths_one
from isocortex.study.options.readouts import Linear

# Blocks of rows that are z-scored at once, and of weights.
BLOCK_BYTES = 1 << 29
# Columns whose products are added up in float32 before float64 takes over.
COLUMNS = 4096
# Operations up to which it is float64 throughout: a function of the problem, never of the machine.
EXACT = 2e10
STRIP = 128


@dataclass(frozen=True)
class Pixels:
    """Rows of maps as z-scored columns, one per channel and pixel: mean and scale (p,) float32 of the training stimuli, the
    scale infinite where a column is constant; scores are clipped to what a training stimulus could have at most."""

    maps: Maps
    mean: torch.Tensor
    scale: torch.Tensor
    bound: float

    def of(self, maps: Maps) -> Pixels:
        """Other maps with the same scaling."""
        return Pixels(maps, self.mean, self.scale, self.bound)

    def parts(self) -> list[slice]:
        """Slices of rows, each of a size that is z-scored at once."""
        return list(batches(len(self.maps), 2 * self.maps.row_bytes, BLOCK_BYTES))

    def scores(self, part: slice) -> torch.Tensor:
        """Scores (b, p) of some rows, float32."""
        flat = self.maps.read(part).flatten(1)
        return (flat - self.mean).div_(self.scale).clamp_(-self.bound, self.bound)


@dataclass(frozen=True)
class LinearFit:
    """A `ReadoutFit`. dual : (n, k) float64, so that weights of z-scored pixels are Zᵀ dual; weights (p, k) are kept where
    there are fewer neuroids than stimuli."""

    pixels: Pixels
    responses: Responses
    dual: torch.Tensor
    intercept: torch.Tensor
    weights: torch.Tensor | None
    validation: Any
    masks: Any
    fields: Fields
    alphas: Any
    loss: Any
    epochs: int = 0

    def predict(self, maps: Any, guide: Any = None) -> Any:
        """Predictions (m, v) for `maps` (m, c, h, w)."""
        source = self.pixels.of(as_maps(maps, self.dual.device))
        made = torch.cat([self._scores(source.scores(part)) for part in source.parts()])
        return like_input(self.responses.raw(made + self.intercept), maps)

    def _scores(self, block: torch.Tensor) -> torch.Tensor:
        if self.weights is not None:
            return (block @ self.weights).double()
        made = torch.zeros(len(block), self.dual.shape[1], dtype=torch.float64, device=block.device)
        for part in self.pixels.parts():
            made += added(block, self.pixels.scores(part), exact=False) @ self.dual[part]
        return made


def fit_linear(
    maps: Any,
    y: Any,
    validation: Any,
    options: Mapping[str, Any] | None = None,
    *,
    device: torch.device | str | None = None,
    guide: Any = None,
) -> LinearFit:
    """Ridge whose penalty has, per neuroid, the least error on the `validation` rows; then all rows with that penalty.

    maps : (n, c, h, w). y : (n, v). Pixels are z-scored by all rows, without their responses; intercepts are those of the rows
    that are fitted. Neuroids without variance, or with NaN, come back as NaN. Raises `DataError` for NaN in maps or shapes that
    do not match.
    """
    chosen = checked(Linear, options)
    source = as_maps(maps, device)
    fitted, held = rows = rows_of("linear", len(source), validation, source.device)
    responses = responses_of("linear", y, len(source), rows, source.device)
    source.moments()  # raises for what is not finite
    pixels = scaled(source)
    kernel = gram(pixels)
    answers = responses.y.to(work_dtype(len(source), responses.y.shape[1]))
    fold = Fold(basis_of_kernel(kernel, fitted, held), fitted, held)
    grid = torch.as_tensor(alpha_grid(float(fold.basis.values[0]), chosen.alphas), device=source.device)
    errors = sweep([fold], answers, grid)
    best = select(errors, grid)
    alphas = grid[best]
    dual, intercept = solved(kernel, responses.y.double(), alphas)
    weights, masks = _weights(pixels, dual)
    found = [responses.spread(part) for part in (masks, alphas, errors.gather(0, best[None])[0])]
    masks, alphas, loss = (like_input(part, maps) for part in found)
    places = fields_of_masks(found[0])
    fields = Fields(*(like_input(part, maps) for part in (places.x, places.y, places.size)))
    predicted = like_input(responses.raw(predict(fold, answers, grid[best])), maps)
    return LinearFit(pixels, responses, dual, intercept, weights, predicted, masks, fields, alphas, loss)


def scaled(maps: Maps) -> Pixels:
    """Mean and sd (ddof 0) per pixel and channel over all rows."""
    count, size = 0, int(torch.Size(maps.shape[1:]).numel())
    mean, square, largest = (torch.zeros(size, dtype=torch.float64, device=maps.device) for _ in range(3))
    for part in maps.pieces():
        block = maps.read(part).flatten(1)
        variance, centre = torch.var_mean(block, 0, correction=0)
        off, more = centre.double() - mean, len(block)
        square += more * variance.double() + off.square() * (count * more / (count + more))
        mean += off * (more / (count + more))
        largest = torch.maximum(largest, block.abs().amax(0).double())
        count += more
    spread = (square / count).sqrt()
    scale = torch.where(spread > CONSTANT * largest, spread, torch.inf)
    return Pixels(maps, mean.float(), scale.float(), float(max(len(maps) - 1, 1)) ** 0.5)


def gram(pixels: Pixels) -> torch.Tensor:
    """Z Zᵀ (n, n) in float64, from pairs of blocks of rows, of which each is made once."""
    n, parts = len(pixels.maps), pixels.parts()
    kernel = torch.empty(n, n, dtype=torch.float64, device=pixels.maps.device)
    exact = 2.0 * n * n * len(pixels.mean) <= EXACT
    for number, rows in enumerate(parts):
        block = pixels.scores(rows)
        for others in parts[:number]:
            kernel[rows, others] = added(block, pixels.scores(others), exact=exact)
        for few in batches(len(block), 1, STRIP):  # of the block's own square only what lies below its diagonal, in strips
            upto = slice(rows.start, rows.start + few.stop)
            kernel[rows.start + few.start : upto.stop, upto] = added(block[few], block[: few.stop], exact=exact)
    return kernel.tril() + kernel.tril(-1).T


def added(a: torch.Tensor, b: torch.Tensor, *, exact: bool) -> torch.Tensor:
    """a bᵀ in float64, added up over blocks of columns; in each of them in float32 unless `exact`."""
    made = torch.zeros(len(a), len(b), dtype=torch.float64, device=a.device)
    for start in range(0, a.shape[1], COLUMNS):
        left, right = a[:, start : start + COLUMNS], b[:, start : start + COLUMNS]
        made += left.double() @ right.double().T if exact else left @ right.T
    return made


def solved(kernel: torch.Tensor, y: torch.Tensor, alphas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Dual weights (n, v) and intercepts (v,) of all rows, one penalty per neuroid."""
    rows = torch.arange(len(kernel), device=kernel.device)
    basis = basis_of_kernel(kernel, rows, rows[:1])
    scores = basis.vectors.T @ (y - y.mean(0))
    # Z has columns of mean zero over all rows: the intercept is the mean response.
    return basis.vectors @ (scores / (basis.values[:, None] + alphas)), y.mean(0)


def _weights(pixels: Pixels, dual: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Weights (p, v) of z-scored pixels, if they are fewer numbers than the maps, and their lengths over channels (v, h, w)."""
    n, v = dual.shape
    channels, height, width = pixels.maps.shape[1:]
    step = BLOCK_BYTES if v > n else 1 << 62
    kept, masks = [], [dual.new_zeros(0, height, width, dtype=torch.float32)]
    for part in batches(v, 4 * len(pixels.mean), step):
        made = torch.zeros(len(pixels.mean), part.stop - part.start, dtype=torch.float32, device=dual.device)
        for rows in pixels.parts():
            block = pixels.scores(rows)
            for start in range(0, len(made), COLUMNS):
                columns = slice(start, start + COLUMNS)
                made[columns] += (block[:, columns].T.double() @ dual[rows, part]).float()
        masks.append(lengths_one(made.T.reshape(-1, channels, height, width).norm(dim=1)))
        kept.append(made)
    return kept[0] if v <= n and kept else None, torch.cat(masks)
