"""Principal components of features too many to hold: by covariance, Gram matrix or random subspace, read in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches, budget_bytes, like_input
from isocortex.errors import DataError

# The largest square matrix that is decomposed, 3.2 GB; above, a random subspace is iterated.
LARGEST = 20_000
OVERSAMPLING = 10
ITERATIONS = 7
BLOCK_BYTES = 1 << 28


@dataclass(frozen=True)
class PrincipalFit:
    """components : (k, p) orthonormal rows, of each the entry of largest size positive. mean : (p,). singular_values : (k,) of
    the centred rows. ratio : (k,) of the variance. form : covariance, gram or random."""

    components: Any
    mean: Any
    singular_values: Any
    ratio: Any
    form: str

    def transform(self, x: Any) -> Any:
        """Scores (m, k) of `x` (m, p), centred by the fitted rows, in the float dtype of `x`."""
        features = as_tensor(x)
        features = features if features.dtype in (torch.float32, torch.float64) else features.to(torch.float64)
        components, mean = (as_tensor(part, features.device, features.dtype) for part in (self.components, self.mean))
        return like_input((features - mean) @ components.T, x)


def principal_components(
    x: Any, components: int, train: Any = None, *, seed: int = 0, largest: int = LARGEST, block_bytes: float | None = None
) -> PrincipalFit:
    """The leading `components` of the rows `train` (all without it) of `x` (n, p), in float64 by blocks of `block_bytes`.

    x : NumPy, torch (a tensor stays on its device), or anything with `shape` that is sliced by rows and by columns, as a stored
    array. The p × p covariance for p ≤ n_train, else the n × n Gram matrix, while that is not larger than `largest`; above, a
    random subspace of ten more dimensions, drawn with `seed` and iterated seven times (Halko et al. 2011). Fewer components
    come back where the rows span fewer dimensions above rounding. Raises `DataError` for components < 1, fewer than two rows,
    or features that are not finite.
    """
    if components < 1:
        raise DataError(f"principal components: found {components} asked for, expected at least 1")
    blocks = _Blocks(x, train, block_bytes)
    if blocks.n < 2:
        raise DataError(f"principal components: found {blocks.n} training stimuli, expected at least 2")
    form = "random" if min(blocks.n, blocks.p) > largest else "gram" if blocks.n < blocks.p else "covariance"
    forms = {"covariance": _by_covariance, "gram": _by_gram, "random": partial(_by_subspace, seed=seed)}
    values, vectors, mean, total = forms[form](blocks, components)
    at = vectors.abs().argmax(0, keepdim=True) if vectors.numel() else vectors.new_zeros(1, 0, dtype=torch.int64)
    arrays = [(vectors * vectors.gather(0, at).sign()).T.contiguous(), mean, values.sqrt(), values / total]
    return PrincipalFit(*[part if isinstance(x, torch.Tensor) else part.cpu().numpy() for part in arrays], form=form)


class _Blocks:
    """The training rows of `x`, block by block of rows or of columns, as float64 tensors."""

    def __init__(self, x: Any, train: Any, block_bytes: float | None) -> None:
        self.x = x
        self.device = x.device if isinstance(x, torch.Tensor) else torch.device("cpu")
        chosen = np.arange(x.shape[0]) if train is None else np.asarray(train)
        self.train = np.flatnonzero(chosen) if chosen.dtype == bool else np.unique(chosen)
        self.n, self.p = len(self.train), int(x.shape[1])
        self.bytes = min(budget_bytes(self.device), BLOCK_BYTES) if block_bytes is None else block_bytes

    def rows(self) -> Iterator[torch.Tensor]:
        """(m, p) each."""
        for part in batches(int(self.x.shape[0]), 8 * self.p, self.bytes):
            inside = self.train[(self.train >= part.start) & (self.train < part.stop)] - part.start
            if len(inside):
                yield self._tensor(self.x[part], inside, int(part.start), 0)

    def columns(self) -> Iterator[torch.Tensor]:
        """(n, q) each."""
        for part in batches(self.p, 8 * int(self.x.shape[0]), self.bytes):
            yield self._tensor(self.x[:, part], self.train, 0, int(part.start))

    def _tensor(self, values: Any, rows: np.ndarray, first_row: int, first_column: int) -> torch.Tensor:
        block = as_tensor(values)[torch.as_tensor(rows, device=self.device)].to(torch.float64)
        bad = ~torch.isfinite(block)
        if bool(bad.any()):
            row, column = (int(index) for index in bad.nonzero()[0])
            raise DataError(
                f"principal components: found NaN or infinity at stimulus {rows[row] + first_row}, feature "
                f"{column + first_column}, expected finite numbers; mend the model's output for that stimulus"
            )
        return block


Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def _leading(matrix: torch.Tensor, components: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest eigenvalues above rounding, descending, and their vectors in columns."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    values, vectors = values.flip(0)[:components], vectors.flip(1)[:, :components]
    kept = int((values > torch.finfo(values.dtype).eps * size * values[0].clamp(min=0)).sum())
    return values[:kept], vectors[:, :kept]


def _mean(blocks: _Blocks) -> torch.Tensor:
    return torch.stack([block.sum(0) for block in blocks.rows()]).sum(0) / blocks.n


def _by_covariance(blocks: _Blocks, components: int) -> Parts:
    """Eigenvalues, vectors, mean and total variance from the scatter matrix (p, p), summed over rows about their mean."""
    mean = _mean(blocks)
    scatter = torch.zeros(blocks.p, blocks.p, dtype=torch.float64, device=blocks.device)
    for block in blocks.rows():
        centred = block - mean
        scatter += centred.T @ centred
    return *_leading(scatter, components, max(blocks.n, blocks.p)), mean, scatter.trace()


def _by_gram(blocks: _Blocks, components: int) -> Parts:
    """The same from the Gram matrix (n, n), summed over columns; vectors are Xᵀu/σ."""
    gram = torch.zeros(blocks.n, blocks.n, dtype=torch.float64, device=blocks.device)
    means = []
    for block in blocks.columns():
        means.append(block.mean(0))
        centred = block - means[-1]
        gram += centred @ centred.T
    values, left = _leading(gram, components, max(blocks.n, blocks.p))
    scaled = left / values.sqrt()
    vectors = torch.cat([(block - block.mean(0)).T @ scaled for block in blocks.columns()])
    return values, vectors, torch.cat(means), gram.trace()


def _by_subspace(blocks: _Blocks, components: int, seed: int) -> Parts:
    """The same within a random subspace, turned towards the leading one by every product with the scatter matrix."""
    mean = _mean(blocks)
    width = min(components + OVERSAMPLING, blocks.n, blocks.p)
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(blocks.p, width, generator=generator, dtype=torch.float64).to(blocks.device)
    product, total = basis, basis.new_zeros(())
    for _ in range(ITERATIONS + 1):
        basis = torch.linalg.qr(product).Q
        product, total = torch.zeros_like(basis), basis.new_zeros(())
        for block in blocks.rows():
            centred = block - mean
            product += centred.T @ (centred @ basis)
            total += centred.square().sum()
    values, turned = _leading(basis.T @ product, components, max(blocks.n, blocks.p))
    return values, basis @ turned, mean, total
