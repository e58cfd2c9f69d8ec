"""Sparse random projections (Li et al. 2006) that keep distances between stimuli: features by the thousand from millions.

`sparse_projection` and `project` are the projection as it is published. `Projections` are those of a network's layers, which
keep each stimulus's mean over units besides: random signs would take it away, and a correlation distance of projected units
would be a cosine distance of the layer.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy import sparse

from isocortex.compute import as_tensor
from isocortex.errors import DataError

DISTORTION = 0.1
# Matrices of a model's layers that are kept between batches; those beyond are made anew for each batch.
KEPT_BYTES = 1 << 30


def johnson_lindenstrauss_size(n: int, eps: float = DISTORTION) -> int:
    """Dimensions, 4 ln n/(ε²/2 − ε³/3) rounded down, in which squared distances of n stimuli keep within 1 ± ε.

    Dasgupta & Gupta 2003: some projection does so, and a random one with a probability that grows with every dimension more.
    Raises `DataError` for fewer than two stimuli or eps outside (0, 1).
    """
    if n < 2:
        raise DataError(f"projection: found {n} stimuli, expected at least 2; a distance needs two")
    if not 0 < eps < 1:
        raise DataError(f"projection: eps, found {eps}, expected between 0 and 1, as .1 for distances within 10 %")
    return int(4 * math.log(n) / (eps**2 / 2 - eps**3 / 3))


def sparse_projection(n_features: int, k: int, seed: int, name: str) -> sparse.csr_array | None:
    """The matrix (k, n_features) for a layer called `name`; None where there are no more than k features, which then stay.

    Entries are ±√(1/(density·k)) with probability density = 1/√n_features and else 0, so that lengths are kept on average. A
    function of (n_features, k, seed, name) alone. Raises `DataError` for k < 1.
    """
    if k < 1:
        raise DataError(f"projection: found {k} dimensions, expected at least 1")
    if n_features <= k:
        return None
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}|{n_features}|{k}|{name}".encode()).digest()))
    density = 1 / math.sqrt(n_features)
    rows, columns = np.divmod(_chosen(k * n_features, density, rng), n_features)
    size = math.sqrt(1 / (density * k))
    values = np.where(rng.random(len(columns)) < 0.5, -size, size)
    starts = np.searchsorted(rows, np.arange(k + 1))
    # Indices of half the size, where they hold: they are most of what a kept matrix takes.
    index = np.int32 if max(n_features, len(columns)) < 2**31 else np.int64
    return sparse.csr_array((values, columns.astype(index), starts.astype(index)), shape=(k, n_features))


def _chosen(total: int, density: float, rng: np.random.Generator) -> np.ndarray:
    """Ascending places of range(total), each taken with probability `density`: gaps between them are geometric."""
    expected = total * density
    parts, last = [], -1
    while last < total:
        part = last + np.cumsum(rng.geometric(density, int(expected + 6 * math.sqrt(expected)) + 16))
        parts.append(part)
        last = int(part[-1])
    places = np.concatenate(parts)
    return places[places < total]


def project(x: Any, matrix: Any) -> Any:
    """`x` (n, p) in the dimensions of a sparse `matrix` (k, p): (n, k), in the float dtype of `x`; without one, `x` itself.

    NumPy or torch (a tensor stays on its device). Raises `DataError` where the numbers of features differ.
    """
    if matrix is None:
        return x
    expected = matrix.shape[1]
    if x.ndim != 2 or x.shape[1] != expected:
        raise DataError(
            f"projection: found features {tuple(x.shape)}, expected (stimuli, {expected}); a projection belongs to one layer"
        )
    if not isinstance(x, torch.Tensor):
        dtype = x.dtype if x.dtype in (np.float32, np.float64) else np.float64
        return np.asarray(x.astype(dtype, copy=False) @ matrix.T.astype(dtype, copy=False))
    if x.device.type == "cpu":
        return torch.from_numpy(project(x.numpy(), matrix))  # SciPy's product is six times as fast as torch's
    return _on_device(x, matrix)


def _on_device(x: torch.Tensor, matrix: Any) -> torch.Tensor:
    features = x if x.dtype in (torch.float32, torch.float64) else x.to(torch.float64)
    return torch.sparse.mm(_as_sparse_tensor(matrix, features.device, features.dtype), features.T).T


def _as_sparse_tensor(matrix: Any, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    entries = matrix.tocoo()
    places = as_tensor(np.stack(entries.coords).astype(np.int64), device)
    values = as_tensor(entries.data, device, dtype)
    return torch.sparse_coo_tensor(places, values, matrix.shape, check_invariants=True).coalesce()


@dataclass
class Projections:
    """Layers of more than `k` units in `k` dimensions, by one matrix per layer; `units` says what each projected layer had.

    A row x (p,) becomes R(x − m) + √(p/k) m with its mean m and R the sparse projection: linear in x, its mean over the k
    dimensions is that of x to a factor, and lengths, distances and correlations of rows keep within what R keeps.
    """

    k: int
    seed: int = 0
    kept_bytes: int = KEPT_BYTES
    units: dict[str, int] = field(default_factory=dict)
    _kept: dict[str, Any] = field(default_factory=dict)
    _size: int = 0

    def __call__(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        """`x` (n, p) float32 as (n, k) on its device; `x` itself where p ≤ k."""
        if x.shape[1] <= self.k:
            return x
        self.units[layer] = x.shape[1]
        matrix, mean = self._matrix(layer, x.shape[1], x.device), x.mean(1, keepdim=True)
        centred = x - mean
        projected = torch.sparse.mm(matrix, centred.T).T if isinstance(matrix, torch.Tensor) else project(centred, matrix)
        return projected + math.sqrt(x.shape[1] / self.k) * mean

    def _matrix(self, layer: str, n_features: int, device: torch.device) -> Any:
        if layer in self._kept:
            return self._kept[layer]
        made = sparse_projection(n_features, self.k, self.seed, layer)
        assert made is not None
        made = made.astype(np.float32)
        on_cpu = device.type == "cpu"
        size = made.nnz * (8 if on_cpu else 20)
        matrix = made if on_cpu else _as_sparse_tensor(made, device, torch.float32)
        if self._size + size <= self.kept_bytes:
            self._kept[layer], self._size = matrix, self._size + size
        return matrix
