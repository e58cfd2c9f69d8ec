"""What a confounder leaves of a kernel or of an RDM: residuals of least squares on its entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError
from isocortex.similarity.cka.hsic import double_centred, u_centred

# What is left of a vector by projection is rounding below this part of its length, and a column adds no direction.
_NOTHING, _NO_DIRECTION = 1e-8, 1e-10


@dataclass(frozen=True)
class Confounded:
    """A system, and those of the confounder on the same stimuli, one for each of its layers."""

    system: Any
    confounders: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.system)


def _without(values: torch.Tensor, basis: Sequence[torch.Tensor]) -> torch.Tensor:
    # Twice: what rounding leaves of a projection the second takes.
    for direction in (*basis, *basis):
        values = values - (direction @ values) * direction
    return values


def basis(columns: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Orthonormal directions of the columns (N,); a column that the ones before it explain adds none."""
    found: list[torch.Tensor] = []
    for column in columns:
        left = _without(column, found)
        length = left.norm()
        if float(length) > _NO_DIRECTION * float(column.norm()):
            found.append(left / length)
    return found


def residual(values: torch.Tensor, columns: Sequence[torch.Tensor], *, intercept: bool) -> torch.Tensor:
    """Residual (N,) of ordinary least squares of `values` (N,) on the columns; zero where rounding is all that is left."""
    given = [v - v.mean() for v in (values, *columns)] if intercept else [values, *columns]
    left = _without(given[0], basis(given[1:]))
    return left if float(left.norm()) > _NOTHING * float(given[0].norm()) else torch.zeros_like(left)


def _of_all_entries(kernel: torch.Tensor, confounders: Sequence[torch.Tensor]) -> torch.Tensor:
    """Of all n² entries, the diagonal among them, as Cui et al. 2022."""
    return residual(kernel.reshape(-1), [c.reshape(-1) for c in confounders], intercept=True).reshape(kernel.shape)


def _signed(kernel: torch.Tensor, confounders: Sequence[torch.Tensor]) -> torch.Tensor:
    return double_centred(_of_all_entries(kernel, confounders))


def _clipped(kernel: torch.Tensor, confounders: Sequence[torch.Tensor]) -> torch.Tensor:
    left = _of_all_entries(kernel, confounders)
    values, vectors = torch.linalg.eigh(0.5 * (left + left.mT))
    return double_centred((vectors * values.clamp_min(0.0)) @ vectors.mT)


def _debiased(kernel: torch.Tensor, confounders: Sequence[torch.Tensor]) -> torch.Tensor:
    columns = [u_centred(c).reshape(-1) for c in confounders]
    return residual(u_centred(kernel).reshape(-1), columns, intercept=False).reshape(kernel.shape)


RESIDUALS: dict[str, Callable[[torch.Tensor, Sequence[torch.Tensor]], torch.Tensor]] = {
    "debiased": _debiased,
    "signed": _signed,
    "clipped": _clipped,
}


def kernel_residual(kernel: Any, confounders: Sequence[Any], how: str = "debiased") -> Any:
    """What the kernels (n, n) of a confounder leave of a kernel (n, n) of centred patterns, centred.

    "signed": least squares with an intercept on all n² entries, then centring (Cui et al. 2022). "clipped": the negative
    eigenvalues of the residual are set to zero before. "debiased": the projection of the U-centred kernel on what is orthogonal
    to the U-centred confounders, as in partial distance correlation (Székely & Rizzo 2014): no diagonal is read.

    Noise of single stimuli adds to diagonals, which no confounder explains, so that unrelated noise has residuals in common,
    and these a permutation takes apart: 1000 units of noise at 50 stimuli have a "signed" alignment of .95, and of .63 less the
    null; debiased .00 both. Kernels are taken out, not all that is linear in the confounder: a system that weighs the
    confounder's axes otherwise keeps the difference. Raises ValueError for another name.
    """
    if how not in RESIDUALS:
        raise ValueError(f"deconfounded cka: found residual {how!r}, expected one of {sorted(RESIDUALS)}")
    values = as_tensor(kernel, dtype=torch.float64)
    columns = [as_tensor(c, device=values.device, dtype=torch.float64) for c in confounders]
    return like_input(RESIDUALS[how](values, columns), kernel)


def refuse_nothing(left: torch.Tensor, where: str, what: str) -> torch.Tensor:
    """`left`; `DataError` where it is zero throughout."""
    if not bool(left.any()):
        raise DataError(
            f"{where}: found nothing left of {what} after the confounder, expected a system that differs from it; "
            "leave this model out, or choose another confounder"
        )
    return left
