"""Alignment of populations of which a sample of units was recorded: no unit is counted with itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from isocortex.errors import DataError
from isocortex.similarity.cka.hsic import products_of_patterns
from isocortex.similarity.ordered import paired, patterns_of


def _alone(x: torch.Tensor) -> torch.Tensor:
    """Σ_a ⟨U(x_a x_aᵀ), U(x_a x_aᵀ)⟩ over the units of centred patterns (n, p): what each unit has with itself."""
    n = len(x)
    square = x.square()
    power = square.sum(0)
    # As of patterns of one unit: k_i = x_i², |xᵀx|² = (Σ x_i²)².
    return (power.square() * (1 + 1 / ((n - 1) * (n - 2))) - n / (n - 2) * square.square().sum(0)).sum()


def _own(x: torch.Tensor, sampled: bool) -> torch.Tensor:
    whole = products_of_patterns(x, x)
    if not sampled:
        return whole
    p = x.shape[1]
    if p < 2:
        raise DataError("cka: found 1 unit, expected at least 2 of a sampled system")
    # Pairs of different units alone are independent draws; their mean times p² is on the scale of the whole.
    return (whole - _alone(x)) * (p / (p - 1))


def cka_of_samples(x: Any, y: Any, sampled: Collection[str] = ("x", "y")) -> float:
    """Debiased linear CKA of the populations that the units of `x` (n_stimuli, p) and `y` (n_stimuli, q) are drawn from.

    HSIC(X, X) of p units drawn at random is a mean over pairs of units (a, b) of ⟨U(x_a x_aᵀ), U(x_b x_bᵀ)⟩, and the p pairs
    a = b are too large: few units make a system look less like any other. They are left out of it for the systems in
    `sampled`; HSIC(X, Y) has no such pairs, and needs independent samples of units. Both then are unbiased over stimuli and
    over units (Chun et al. 2025, arXiv:2502.15104), noise that is independent between units included, and the ratio nearly so.
    It may exceed 1 and, unlike `cka`, is not the same for rotated units. NaN where a denominator is not above 0. Raises
    `DataError` as `cka`, and for one unit of a sampled system.
    """
    if unknown := set(sampled) - {"x", "y"}:
        raise ValueError(f"cka: found sampled {sorted(unknown)}, expected some of ['x', 'y']")
    pair = paired(x, y, "cka")
    every = torch.arange(len(pair[0])).numpy()
    first, second = (patterns_of(z, every, "cka", 4) for z in pair)
    scale = _own(first, "x" in sampled), _own(second, "y" in sampled)
    if min(float(s) for s in scale) <= 0.0:
        return float("nan")
    return float(products_of_patterns(first, second) / (scale[0] * scale[1]).sqrt())
