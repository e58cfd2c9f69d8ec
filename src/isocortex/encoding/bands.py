"""Feature spaces of a banded regression, each as a kernel of its own, and how to return from kernels to features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, batches, budget_bytes
from isocortex.encoding.penalties import CONSTANT
from isocortex.errors import DataError


@dataclass(frozen=True)
class Space:
    """Features x (n, p) as they came, and the mean and scale (p,) that they are used with; scale ∞ for columns left out."""

    x: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor

    def scaled(self, columns: slice, dtype: torch.dtype) -> torch.Tensor:
        """Some columns, centred and scaled."""
        return (self.x[:, columns].to(dtype) - self.mean[columns].to(dtype)) / self.scale[columns].to(dtype)

    def gram(self, out: torch.Tensor) -> None:
        """Add the kernel (n, n) to `out`, in its dtype, over blocks of columns."""
        n, p = self.x.shape
        for columns in batches(p, out.element_size() * 3 * n, budget_bytes(self.x.device) / 4):
            block = self.scaled(columns, out.dtype)
            out.addmm_(block, block.T)

    def coef(self, dual: torch.Tensor) -> torch.Tensor:
        """Weights (p, v) of the unscaled features for dual weights (n, v) of the scaled ones."""
        n, p = self.x.shape
        pieces = batches(p, dual.element_size() * 3 * n, budget_bytes(self.x.device) / 4)
        scale = self.scale[:, None].to(dual.dtype)
        return torch.cat([self.scaled(columns, dual.dtype).T @ dual / scale[columns] for columns in pieces])


@dataclass(frozen=True)
class Bands:
    """kernels : (g, n, n), doubly centred if there is an intercept. kernel_mean : (g, n), the column means that centring took
    away. spaces : the features behind the kernels, or none. dtype : of the data."""

    kernels: torch.Tensor
    kernel_mean: torch.Tensor
    spaces: tuple[Space, ...]
    dtype: torch.dtype

    def mixed(self, gamma: torch.Tensor) -> torch.Tensor:
        """Σ γ_i K_i (n, n); spaces without weight cost nothing."""
        total = torch.zeros_like(self.kernels[0])
        for weight, kernel in zip(gamma.tolist(), self.kernels, strict=True):
            if weight:
                total.add_(kernel, alpha=weight)
        return total


def float_dtype(*arrays: torch.Tensor) -> torch.dtype:
    """The widest float dtype among `arrays`: float32 or float64; whole numbers count as float64."""
    narrow = all(array.dtype in (torch.float16, torch.bfloat16, torch.float32) for array in arrays)
    return torch.float32 if narrow else torch.float64


def bands_of_spaces(spaces: Sequence[Any], centre: bool, standardize: bool, dtype: torch.dtype | None = None) -> Bands:
    """Kernels of feature spaces [(n, p_i)], centred if `centre` or `standardize`, z-scored (ddof 0) if `standardize`.

    dtype : of the kernels, in place of that of the data. Raises `DataError` for no space, spaces of different length, or
    features that are not finite.
    """
    arrays = [as_tensor(space) for space in spaces]
    if not arrays or any(x.ndim != 2 or not x.shape[1] or len(x) != len(arrays[0]) for x in arrays):
        raise DataError(
            f"banded: found spaces {[tuple(x.shape) for x in arrays]}, expected one or more of (stimuli, features) with "
            "the same stimuli"
        )
    for number, x in enumerate(arrays):
        bad = ~torch.isfinite(x)
        if bool(bad.any()):
            row, column = (int(index) for index in bad.nonzero()[0])
            raise DataError(
                f"banded: found {int(bad.sum())} NaN or infinite features in space {number}, first at [{row}, {column}], "
                "expected finite numbers"
            )
    made = tuple(_space(x, centre, standardize) for x in arrays)
    n, kind = len(arrays[0]), float_dtype(*arrays)
    kernels = torch.zeros(len(made), n, n, dtype=dtype or kind, device=arrays[0].device)
    for space, out in zip(made, kernels, strict=True):
        space.gram(out)
    return Bands(kernels, kernels.new_zeros(kernels.shape[:2]), made, kind)


def _space(x: torch.Tensor, centre: bool, standardize: bool) -> Space:
    exact = x.to(torch.float64)
    mean = exact.mean(0) if centre or standardize else torch.zeros_like(exact[0])
    if not standardize:
        return Space(x, mean, torch.ones_like(mean))
    spread = exact.std(0, correction=0)
    return Space(x, mean, torch.where(spread > CONSTANT * exact.abs().amax(0), spread, torch.inf))


def bands_of_kernels(kernels: Any, centre: bool, dtype: torch.dtype | None = None) -> Bands:
    """Given kernels (g, n, n), doubly centred in float64 if `centre`, then in `dtype` or that of the data.

    Raises `DataError` for other shapes, NaN or infinity.
    """
    stack = isinstance(kernels, Sequence) and len(kernels) and isinstance(kernels[0], torch.Tensor)
    given = torch.stack(list(kernels)) if stack else as_tensor(kernels)
    if given.ndim != 3 or not len(given) or given.shape[1] != given.shape[2]:
        raise DataError(f"banded: found kernels {tuple(given.shape)}, expected (spaces, stimuli, stimuli)")
    if not bool(torch.isfinite(given).all()):
        raise DataError(f"banded: found {int((~torch.isfinite(given)).sum())} NaN or infinite kernel values, expected numbers")
    kind = float_dtype(given)
    made = given.to(dtype or kind)
    if not centre:
        return Bands(made, made.new_zeros(made.shape[:2]), (), kind)
    made, means = made.clone(), []
    for kernel, out in zip(given, made, strict=True):
        exact = kernel.to(torch.float64)
        means.append(exact.mean(0))
        out.copy_(exact - means[-1] - exact.mean(1, keepdim=True) + exact.mean())
    return Bands(made, torch.stack(means), (), kind)


def checked_gammas(gammas: Any, n_spaces: int, device: torch.device) -> torch.Tensor:
    """Candidates (n_gammas, g) float64. Raises `DataError` unless every row lies on the simplex."""
    array = np.asarray(gammas.cpu() if isinstance(gammas, torch.Tensor) else gammas, dtype=np.float64)
    if array.ndim != 2 or not len(array) or array.shape[1] != n_spaces:
        raise DataError(f"banded: found gammas {array.shape}, expected (candidates, {n_spaces}), a weight for every space")
    wrong = ~np.isfinite(array).all(1) | (array < 0).any(1) | (np.abs(array.sum(1) - 1) > 1e-6)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"banded: gammas, found {array[row].tolist()} in row {row}, expected weights of zero or more that sum to 1"
        )
    return torch.as_tensor(array, device=device)
