"""The participation ratio of a population of stimuli, from few of them.

(tr Σ)² and tr Σ² of the sample covariance are both too large for n stimuli, tr Σ² by far more where p > n, so that the sample's
own ratio stays below n − 1. Both have an unbiased estimate from four different stimuli. With E[(x₁ − x₂)(x₁ − x₂)ᵀ] = 2Σ, and
pairs without a stimulus in common being independent,

    (tr Σ)² = E[ ‖x₁ − x₂‖² ‖x₃ − x₄‖² ] / 4,        tr Σ² = E[ ((x₁ − x₂)·(x₃ − x₄))² ] / 4,

whatever the distribution. The averages over all quadruples (U-statistics) are sums over a matrix with an empty diagonal: with
its total T, row sums r and squares q, the first is (T² − 4Σr² + 2q)/(4 n(n−1)(n−2)(n−3)) of squared distances, the second
[q + T²/((n−1)(n−2)) − 2Σr²/(n−2)]/(n(n−3)) of the Gram matrix (unbiased HSIC; Song et al. 2012). What bias is left in their
ratio is that of a ratio of two unbiased numbers.

Are the units a sample, too, the population's ratio is that of averages over pairs of different units: Σ_αα Σ_ββ over Σ_αβ².
The pairs (α, α) add Σ_α Σ_αα² to either sum. Its U-statistic, [(n² − 3n + 3) s₂² − n(n − 1) s₄]/(n(n−1)(n−2)(n−3)) for the
centred power sums s₂ and s₄ of a unit, is the same from both kernels, and is taken away from both.
"""

from __future__ import annotations

from typing import Any

import torch

from isocortex.compute import as_tensor, like_input
from isocortex.errors import DataError

FEWEST = 4
_ROUNDING = 1e-9


def participation_ratio_corrected(x: Any, *, units: str = "fixed") -> float:
    """(tr Σ)²/tr Σ² of the population that the stimuli of `x` (n, p) come from; NaN where nothing varies beyond chance.

    So it is where an estimate is below 1: there are no fewer dimensions than one.

    `units`: "fixed", these and no others; "sampled", some of a population's, whose ratio is estimated. The latter is of units
    themselves, and not invariant to rotation. Raises `DataError` for fewer than 4 stimuli or an unknown kind of units.
    """
    patterns = as_tensor(x, dtype=torch.float64)
    every = torch.ones((1, len(patterns)), dtype=torch.float64, device=patterns.device)
    return float(participation_ratio_corrected_of_subsets(patterns, every, units=units)[0])


def participation_ratio_corrected_of_subsets(x: Any, masks: Any, *, units: str = "fixed") -> Any:
    """The corrected ratio (D,) of each subset of stimuli, `masks` (D, n) of 0 and 1, by matrix products."""
    if units not in _OF_SINGLE_UNITS:
        raise DataError(f"geometry: found units {units!r}, expected one of {', '.join(_OF_SINGLE_UNITS)}")
    patterns = as_tensor(x, dtype=torch.float64)
    centred = patterns - patterns.mean(dim=0)
    kept = as_tensor(masks, device=patterns.device, dtype=torch.float64)
    gram = centred @ centred.T
    squared, power = unbiased_traces(gram, gram, gram, kept)
    single = _OF_SINGLE_UNITS[units](centred, kept)
    return like_input(ratio(squared - single, power - single), x)


def unbiased_traces(
    first: torch.Tensor, second: torch.Tensor, across: torch.Tensor, kept: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unbiased (tr Σ)² and tr Σ², both (D,), of subsets `kept` (D, n).

    `first` = AAᵀ, `second` = BBᵀ and `across` = ABᵀ of two measurements A and B (n, p) of the same stimuli with independent
    noise: Σ is then the covariance of the signal alone, because the two have nothing but the signal in common.
    Raises `DataError` for fewer than 4 stimuli.
    """
    n = kept.sum(1)
    if not len(kept) or float(n.min()) < FEWEST:
        raise DataError(
            f"geometry: found {int(n.min()) if len(kept) else 0} stimuli, expected at least {FEWEST} to correct for"
        )
    own = across.diagonal()
    distances = own[:, None] + own[None, :] - across - across.T
    total, rows, squares = _sums(distances, distances, kept)
    squared = (total - 4 * rows + 2 * squares) / (4 * n * (n - 1) * (n - 2) * (n - 3))
    total, rows, squares = _sums(_hollow(first), _hollow(second), kept)
    power = (squares + total / ((n - 1) * (n - 2)) - 2 * rows / (n - 2)) / (n * (n - 3))
    return squared, power


def ratio(squared: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
    """`squared` over `power`; NaN where either is not above 0, as it comes out of noise, or where less than 1 comes out."""
    found = squared / torch.where((power > 0) & (squared > 0), power, torch.nan)
    # One dimension without noise is 1 but for rounding.
    return torch.where(found > 1 - _ROUNDING, found.clamp_min(1.0), torch.nan)


def _hollow(matrix: torch.Tensor) -> torch.Tensor:
    return matrix - torch.diag(matrix.diagonal())


def _sums(a: torch.Tensor, b: torch.Tensor, kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Products of the totals, of the row sums, and of the entries of two symmetric matrices, on each subset."""
    rows_a, rows_b = (kept @ a) * kept, (kept @ b) * kept
    return rows_a.sum(1) * rows_b.sum(1), (rows_a * rows_b).sum(1), ((kept @ (a * b)) * kept).sum(1)


def _single_units(centred: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Unbiased Σ_α Σ_αα² (D,) of each subset."""
    n = kept.sum(1, keepdim=True)
    powers = [kept @ centred**k for k in (1, 2, 3, 4)]
    mean = powers[0] / n
    second = powers[1] - n * mean**2
    fourth = powers[3] - 4 * mean * powers[2] + 6 * mean**2 * powers[1] - 3 * n * mean**4
    terms = ((n**2 - 3 * n + 3) * second**2 - n * (n - 1) * fourth) / (n * (n - 1) * (n - 2) * (n - 3))
    return terms.sum(1)


def _no_units(centred: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(kept), dtype=torch.float64, device=centred.device)


_OF_SINGLE_UNITS = {"fixed": _no_units, "sampled": _single_units}
