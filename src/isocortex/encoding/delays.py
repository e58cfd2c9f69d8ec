"""Finite impulse responses: features delayed within their runs, as columns or as a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from isocortex.compute import as_tensor, like_input
from isocortex.encoding.blocks import Runs, rows_by_run
from isocortex.errors import DataError


def delayed(x: Any, delays: Sequence[int], runs: Runs = None) -> Any:
    """Copies of `x` (n, p) delayed by each of `delays` samples, side by side: (n, p·D), delay d in columns d·p to (d + 1)·p.

    Row t of a copy holds row t − delay of its own run; where the run has none the copy is 0, at a run's start for a positive
    delay and at its end for a negative one. Nothing crosses from one run to the next.

    Raises `DataError` for delays that repeat or are no whole numbers, or labels that are not one per row.
    """
    values = as_tensor(x)
    sources = _sources(delays, runs, len(values))
    result = values.new_zeros(len(values), len(sources) * values.shape[1])
    for number, (rows, source) in enumerate(sources):
        columns = slice(number * values.shape[1], (number + 1) * values.shape[1])
        result[_index(rows, values), columns] = values[_index(source, values)]
    return like_input(result, x)


def delayed_gram(gram: Any, delays: Sequence[int], runs: Runs = None) -> Any:
    """The Gram matrix of `delayed` features from that of the features: Σ_d S_d K S_dᵀ, (n, n) to (n, n).

    S_d shifts rows by delay d within their runs, so the features themselves, D times as wide, are never formed.
    """
    kernel = as_tensor(gram)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise DataError(f"delays: found a Gram matrix of shape {tuple(kernel.shape)}, expected as many rows as columns")
    result = torch.zeros_like(kernel)
    for rows, source in _sources(delays, runs, len(kernel)):
        to, of = _index(rows, kernel), _index(source, kernel)
        result[to[:, None], to] += kernel[of[:, None], of]
    return like_input(result, gram)


def fir(coef: Any, delays: Sequence[int]) -> Any:
    """Impulse responses (D, p, v) from the coefficients (D·p, v) of `delayed` features; `.mean(0)` averages them over delays.

    Raises `DataError` where the rows do not divide by the number of delays.
    """
    n_delays = len(_checked(delays))
    if coef.ndim != 2 or coef.shape[0] % n_delays:
        raise DataError(
            f"delays: found coefficients of shape {tuple(coef.shape)}, expected (delays · features, neuroids) for "
            f"{n_delays} delays"
        )
    return coef.reshape(n_delays, coef.shape[0] // n_delays, coef.shape[1])


def _sources(delays: Sequence[int], runs: Runs, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per delay, the rows that have a value and the rows it comes from."""
    parts = rows_by_run(runs, n)
    found = []
    for delay in _checked(delays):
        to, of = (slice(delay, None), slice(None, -delay or None)) if delay >= 0 else (slice(None, delay), slice(-delay, None))
        found.append((np.concatenate([rows[to] for rows in parts]), np.concatenate([rows[of] for rows in parts])))
    return found


def _checked(delays: Sequence[int]) -> list[int]:
    whole = [int(delay) for delay in delays]
    if not whole or whole != list(delays) or len(set(whole)) < len(whole):
        raise DataError(f"delays: found {list(delays)}, expected different whole numbers of samples, as [1, 2, 3, 4]")
    return whole


def _index(rows: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(rows, device=like.device)
